"""The pacer: how many events are due now, smooth at one a second and at 100,000 a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import isfinite
from typing import Final

from core.errors import ConfigurationError

#: Events of this many seconds come at once, at most.
BURST_S: Final = 0.010
#: After a stall, events of this many seconds are made up for, at most.
CATCH_UP_S: Final = 1.0
#: `due` returns after this many seconds, with nothing due if need be, so that a stop is heard.
PATIENCE_S: Final = 0.1
#: Fewer wake-ups: `due` waits for events of this many seconds.
_GATHER_S: Final = 0.005
#: How many events are due at once where there is no limit.
_UNLIMITED_BURST: Final = 500

Seconds = Callable[[], float]
Sleep = Callable[[float], object]
Rate = float | Callable[[], float]


class Pacer:
    """Grants events at a rate. Long-run error below 0.1 % unless its user is too slow."""

    def __init__(self, rate: Rate, clock: Seconds = time.monotonic, sleep: Sleep = time.sleep) -> None:
        """`rate` in events a second, or a function that gives it now; 0: as fast as can be.

        `clock` is monotonic, in seconds. Raises `ConfigurationError` for a rate that is negative
        or no number.
        """
        if not callable(rate) and not (isfinite(rate) and rate >= 0):
            message = f"rate: {rate} events a second; use 0 (no limit) or a positive number"
            raise ConfigurationError(message)
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._credit = 0.0
        self._seen: float | None = None

    def due(self) -> int:
        """How many events are due, at most 10 ms worth of them or one. Waits up to 0.1 s."""
        rate = self._rate() if callable(self._rate) else self._rate
        if not rate:
            return _UNLIMITED_BURST
        self._earn(rate)
        wanted = max(1.0, rate * _GATHER_S)
        if self._credit < wanted:
            self._sleep(min(PATIENCE_S, (wanted - self._credit) / rate))
            self._earn(rate)
        # the epsilon: a sum of floats that ought to be 1 may be a hair below it
        granted = int(min(self._credit + 1e-6, max(1.0, rate * BURST_S)))
        self._credit -= granted
        return granted

    def _earn(self, rate: float) -> None:
        now = self._clock()
        if self._seen is not None:
            earned = self._credit + (now - self._seen) * rate
            self._credit = min(earned, max(1.0, rate * CATCH_UP_S))
        self._seen = now
