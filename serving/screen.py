"""The live view on a terminal that can write over what it shows."""

from __future__ import annotations

import os
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from rich.console import Console, RenderableType
from rich.live import Live

#: Draws the view in the given columns and lines.
Draw = Callable[[int, int], RenderableType]


class Screen:
    """Shows a view in place of the one before. A context manager; at its end the view is gone."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._size = console.size
        self._terminal = _without_echoed_keys()
        self._live = self._started()

    def show(self, draw: Draw) -> None:
        """Draws it in the size that the terminal has now."""
        if self._console.size != self._size:
            # a terminal that changed its width has broken the lines again: nobody knows where the view begins
            self._live.stop()
            self._console.clear()
            self._size, self._live = self._console.size, self._started()
        self._live.update(draw(self._size.width, self._size.height), refresh=True)

    def close(self) -> None:
        """Takes the view away."""
        self._live.stop()
        if self._terminal is not None:
            with suppress(OSError, ValueError, termios.error):
                termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._terminal)

    def _started(self) -> Live:
        live = Live(console=self._console, auto_refresh=False, transient=True)
        live.start()
        return live

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _without_echoed_keys() -> list[Any] | None:
    """Keeps the terminal from writing `^C` into the view, which would make a line longer than it is drawn.

    What was set before, to be set again; None where nothing was changed. A process in the background may not.
    """
    with suppress(OSError, ValueError, AttributeError, termios.error):
        number = sys.stdin.fileno()
        if os.isatty(number) and os.tcgetpgrp(number) == os.getpgrp():
            before = termios.tcgetattr(number)
            quiet = [*before]
            quiet[3] &= ~termios.ECHOCTL
            termios.tcsetattr(number, termios.TCSADRAIN, quiet)
            return before
    return None
