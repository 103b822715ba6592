"""Standard streams: whatever the caller has closed, and whoever stops reading, a command ends as it would."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable
from typing import Any, Final

from core.errors import FourfoldError
from modes.encoding import HANDLER, settle

_LEAST_WIDTH: Final = 20


def with_streams(command: Callable[[], object]) -> None:
    """Runs a command that may use all three streams, whichever of them are closed, full, or of what encoding.

    It ends with the command's own exit code, or with 1 where standard output cannot be written.
    """
    _open_closed()
    _forget_widths()
    settle()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout = _Output(sys.stdout)
    try:
        command()
    finally:
        _flush()


class _Output(io.TextIOWrapper):
    """Standard output that says in one line why it cannot be written."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        super().__init__(
            # beside the one that was there, which Python flushes at its end
            io.BufferedWriter(io.FileIO(stream.fileno(), "w", closefd=False)),
            encoding=stream.encoding,
            errors=HANDLER,
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )

    def write(self, text: str) -> int:
        """As usual. Raises `FourfoldError` where the disk is full, `BrokenPipeError` where nobody reads on."""
        return int(self._tried(super().write, text))

    def flush(self) -> None:
        """As `write`."""
        self._tried(super().flush)

    def _tried(self, action: Callable[..., Any], *arguments: str) -> Any:
        try:
            return action(*arguments)
        except BrokenPipeError:
            _to_nowhere(self)
            raise
        except OSError as error:
            _to_nowhere(self)
            raise FourfoldError(
                f"standard output cannot be written: {(error.strerror or str(error)).lower()}"
            ) from None


def _open_closed() -> None:
    """Opens what is closed: to nowhere, and so that no file or connection takes its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened == number:
                os.set_inheritable(number, True)
            else:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def _forget_widths() -> None:
    """A width of nothing, or of a few columns, hides help and errors; libraries read these by themselves."""
    for name in ("COLUMNS", "TERMINAL_WIDTH"):
        said = os.environ.get(name, "")
        if not (said.isdecimal() and int(said) >= _LEAST_WIDTH):
            os.environ.pop(name, None)


def _flush() -> None:
    """Writes what is left. A reader that has gone has what it wanted."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            _to_nowhere(stream)
        except FourfoldError as error:
            print(f"fourfold: {error}", file=sys.stderr)
            sys.exit(error.exit_code)
        except OSError:
            _to_nowhere(stream)


def _to_nowhere(stream: Any) -> None:
    """What is still to be written to a stream goes to nowhere: Python writes what is left at its end."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
