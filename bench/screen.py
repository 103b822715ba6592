"""The screen: progress while a measurement runs, on standard error."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console

#: Where no terminal shows a moving line, one line in so many seconds.
_PLAIN_EVERY_S: Final = 5.0


class Screen:
    """`say` stays, `note` is replaced by the next one."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._status = self._console.status("")
        self._began = time.monotonic()
        self._noted = 0.0

    @contextmanager
    def open(self) -> Iterator[None]:
        """Shows the moving line."""
        with self._status:
            yield

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(f"[dim]{time.monotonic() - self._began:6.1f} s[/dim]  {text}", soft_wrap=True)

    def note(self, text: str) -> None:
        """What goes on now."""
        if self._console.is_terminal:
            self._status.update(text)
        elif time.monotonic() - self._noted > _PLAIN_EVERY_S:
            self._noted = time.monotonic()
            self.say(text)
