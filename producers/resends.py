"""Records that will be sent again: a bounded buffer in the order in which they are due."""

from __future__ import annotations

from heapq import heappop, heappush
from random import Random
from typing import Final

from producers.record import Record

#: Most come again soon; some beyond a duplicate horizon of 30 to 60 s. Milliseconds.
SOON_MS: Final = (50, 5_000)
TAIL_MS: Final = (5_000, 50_000)
TAIL_SHARE: Final = 0.15
#: At about 1 kB each. 100,000 events a second with 1 % duplicates need 7,000 places.
CAPACITY: Final = 20_000


class Resends:
    """Holds what a sender sends twice, until then. Full: takes nothing more in."""

    def __init__(self, random: Random, capacity: int = CAPACITY, tail_ms: tuple[int, int] = TAIL_MS) -> None:
        """`tail_ms`: after how long, from and to, those come that do not come soon."""
        self._random = random
        self._capacity = capacity
        self._tail_ms = tail_ms
        self._waiting: list[tuple[int, int, Record]] = []
        self._added = 0

    def add(self, record: Record, now_ms: int) -> bool:
        """Sends an accepted `record` again after a while. False where there is no room."""
        if len(self._waiting) >= self._capacity:
            return False
        span = self._tail_ms if self._random.random() < TAIL_SHARE else SOON_MS
        due_ms = now_ms + self._random.randint(*span)
        self._added += 1
        heappush(self._waiting, (due_ms, self._added, record.again()))
        return True

    def due(self, now_ms: int, limit: int) -> list[Record]:
        """At most `limit` records whose time has come, taken out."""
        out: list[Record] = []
        while self._waiting and self._waiting[0][0] <= now_ms and len(out) < limit:
            out.append(heappop(self._waiting)[2])
        return out

    def __len__(self) -> int:
        return len(self._waiting)
