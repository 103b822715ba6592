"""`python -m modes` is `fourfold`.

Spawned processes run this file again under another name, and need nothing of the command line.
"""

import gc
import sys
import traceback
from types import TracebackType


def main() -> None:
    """The console command.

    What a command loads stays until its end: to look through it for garbage, again and again while
    it is loaded and once more at the end, would be a third of the time that a command takes to start.
    """
    gc.disable()
    sys.excepthook = show
    from modes.cli import main as run

    gc.freeze()
    gc.enable()
    run()


def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Writes the traceback of a bug, without secrets."""
    from core.secrets import redacted

    text = "".join(traceback.format_exception(kind, error, trace))
    print(redacted(text), end="", file=sys.stderr)


if __name__ == "__main__":
    main()
