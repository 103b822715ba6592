"""`python -m modes` is `fourfold`.

Spawned processes run this file again under another name, and need nothing of the command line.
"""

import gc
import locale
import os
import sys
import traceback
from types import TracebackType


def main() -> None:
    """The console command.

    What a command loads stays until its end: to look through it for garbage, again and again while
    it is loaded and once more at the end, would be a third of the time that a command takes to start.
    """
    _speak_utf8()
    gc.disable()
    sys.excepthook = show
    from modes.streams import with_streams

    with_streams(_run)


def _run() -> None:
    from modes.cli import main as run

    gc.freeze()
    gc.enable()
    run()


def _speak_utf8() -> None:
    """Starts this process again in Python's UTF-8 mode where the locale has another encoding.

    Files, names and other processes are then read and written as UTF-8 by us and by all libraries; what goes to
    the terminal keeps the terminal's encoding. Roles inherit it.
    """
    if sys.flags.utf8_mode or os.environ.get("PYTHONUTF8") == "1" or _is_utf8(locale.getpreferredencoding(False)):
        return
    shown = {} if sys.stdout is None else {"PYTHONIOENCODING": sys.stdout.encoding}
    os.execve(  # noqa: S606 - this command again
        sys.executable, [sys.executable, *sys.orig_argv[1:]], shown | os.environ | {"PYTHONUTF8": "1"}
    )


def _is_utf8(encoding: str) -> bool:
    return encoding.lower().replace("-", "").replace("_", "") == "utf8"


def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Writes the traceback of a bug, without secrets."""
    from core.secrets import redacted

    text = "".join(traceback.format_exception(kind, error, trace))
    print(redacted(text), end="", file=sys.stderr)


if __name__ == "__main__":
    main()
