"""Says when a producer's clock must be wrong: seen in what a worker has just counted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from core.clocks import FEWEST, suspicion, typical_ahead_s
from core.delta import Delta

log = structlog.get_logger(__name__)

#: Said again after this time while it goes on.
AGAIN_S: Final = 60.0


class ClockWatch:
    """Looks at windows of at least `FEWEST` records."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counters: Counter[str] = Counter()
        self._details: list[str] = []
        self._records = 0
        self._told = float("-inf")

    def took(self, records: int, deltas: Iterable[Delta]) -> None:
        """What was counted with one poll of that many records."""
        self._records += records
        for delta in deltas:
            for counter in delta.quality.values():
                self._counters.update(counter)
            self._details.extend(letter.detail for letter in delta.dead_letters)
        if self._records < FEWEST:
            return
        text = suspicion(self._counters, typical_ahead_s(self._details))
        if text and self._clock() - self._told >= AGAIN_S:
            self._told = self._clock()
            log.warning("clock", doubt=text)
        self._records = 0
        self._counters.clear()
        self._details.clear()
