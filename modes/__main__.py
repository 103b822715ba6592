"""`python -m modes` is `fourfold`.

Spawned processes run this file again under another name, and need nothing of the command line.
"""

import gc


def main() -> None:
    """The console command.

    What a command loads stays until its end: to look through it for garbage, again and again while
    it is loaded and once more at the end, would be a third of the time that a command takes to start.
    """
    gc.disable()
    from modes.streams import with_streams

    with_streams(_run)


def _run() -> None:
    from modes.cli import main as run

    gc.freeze()
    gc.enable()
    run()


if __name__ == "__main__":
    main()
