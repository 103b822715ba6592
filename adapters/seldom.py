"""What clients or servers can make happen again and again is said now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

SAY_EVERY_S: Final = 60.0


class Seldom:
    """Says whether it is time again to say what can happen again and again. From any thread."""

    def __init__(self, every_s: float = SAY_EVERY_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._every_s = every_s
        self._clock = clock
        self._said_at = float("-inf")

    def now(self) -> bool:
        """True once in `every_s`."""
        now = self._clock()
        if now - self._said_at <= self._every_s:
            return False
        self._said_at = now
        return True
