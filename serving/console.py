"""Consoles: what the terminal, the pipe or the file at the end of a stream can show."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Final, TextIO

from rich.console import Console, ConsoleDimensions

#: The width of a pipe or a file: whoever reads it gets each line whole.
WHOLE: Final = 1 << 30
#: Narrower terminals break lines by themselves.
LEAST_WIDTH: Final = 20
_USUAL: Final = (80, 25)
_NO: Final = ("", "0", "false", "no", "off")


class StreamConsole(Console):
    """A console that knows the size of its stream at each moment."""

    def __init__(self, stream: TextIO, environment: Mapping[str, str] = os.environ) -> None:
        """Args: where to write, and what is said of the terminal there (`TERM`, `COLUMNS`, `LINES`, `CI`)."""
        self._stream = stream
        self._said = environment
        super().__init__(file=stream, highlight=False, force_interactive=moves(stream, environment))

    @property
    def size(self) -> ConsoleDimensions:
        """Columns and lines: those of the terminal, or fewer where `COLUMNS` says so; a pipe has no end."""
        if not is_terminal(self._stream):
            return ConsoleDimensions(WHOLE, _USUAL[1])
        try:
            found = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            found = os.terminal_size((0, 0))
        said = (_number(self._said.get("COLUMNS")), _number(self._said.get("LINES")))
        width, height = (_smaller(a, b) or usual for a, b, usual in zip(found, said, _USUAL, strict=True))
        return ConsoleDimensions(max(LEAST_WIDTH, width), height)

    @size.setter
    def size(self, _: tuple[int, int]) -> None:
        """Nobody sets it: it is the stream's."""

    @property
    def whole(self) -> bool:
        """Whether lines are as long as they are: a pipe or a file."""
        return self.width == WHOLE


def out() -> StreamConsole:
    """Standard output."""
    return StreamConsole(sys.stdout)


def err() -> StreamConsole:
    """Standard error."""
    return StreamConsole(sys.stderr)


def is_terminal(stream: TextIO) -> bool:
    """Whether a person may look at it; colours that are forced into a pipe make none of it."""
    try:
        return stream.isatty()
    except ValueError:
        return False


def moves(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether what was written can be written over: not in a pipe, on a dumb terminal, or in the log of a CI."""
    if not is_terminal(stream) or environment.get("TERM", "").lower() in ("", "dumb", "unknown"):
        return False
    if (interactive := environment.get("TTY_INTERACTIVE")) in ("0", "1"):
        return interactive == "1"
    return environment.get("CI", "").lower() in _NO


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else 0


def _smaller(one: int, other: int) -> int:
    return min(one, other) if one and other else one or other
