"""`python -m modes` is `fourfold`.

Spawned processes run this file again under another name, and need nothing of the command line.
"""


def main() -> None:
    """The console command."""
    from modes.cli import main as run

    run()


if __name__ == "__main__":
    main()
