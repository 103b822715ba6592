"""The live view on a terminal that can write over what it shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live

#: Draws the view in the given columns and lines.
Draw = Callable[[int, int], RenderableType]


class Screen:
    """Shows a view in place of the one before. A context manager; at its end the view is gone."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._size = console.size
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

    def _started(self) -> Live:
        live = Live(console=self._console, auto_refresh=False, transient=True)
        live.start()
        return live

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
