"""`python -m modes` is `fourfold`."""

from modes.cli import main

if __name__ == "__main__":
    main()
