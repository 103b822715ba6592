"""Records on a schedule: repeatable to the byte, whatever the machine does meanwhile."""

from __future__ import annotations

from collections import deque
from typing import Final

from producers.record import Record
from producers.stream import ShopStream

#: Records of so many ms are made at one moment of the schedule.
STEP_MS: Final = 10
_MINUTE_MS: Final = 60_000


class ScheduledStream:
    """A given number of a shop's records. Events happen when the schedule says, not when they are sent.

    The schedule begins with the minute in which the first record is taken, so an event may be up to a minute older
    than its record. Two streams with the same shop and rate have the same records, their times aside, and the same ones
    are duplicates, late, or rejected.
    """

    def __init__(self, shop: ShopStream, rate: float, events: int) -> None:
        """`rate`: events a second, above 0."""
        self._shop = shop
        self._rate = rate
        self._left = events
        self._made: deque[Record] = deque()
        self._start_ms = 0
        self._step = 0
        self._due = 0.0

    def take(self, count: int, now_ms: int) -> list[Record]:
        """At most `count` records; none when all were taken. `now_ms` matters for the first ones alone."""
        if not self._step:
            self._start_ms = now_ms - now_ms % _MINUTE_MS
        count = min(count, self._left)
        while len(self._made) < count:
            self._made.extend(self._next())
        self._left -= count
        return [self._made.popleft() for _ in range(count)]

    def _next(self) -> list[Record]:
        self._due += self._rate * STEP_MS / 1000
        due = int(self._due)
        self._due -= due
        self._step += 1
        return self._shop.take(due, self._start_ms + self._step * STEP_MS)
