"""The day profile `module-01`: 24 hours of 10,000 to 35,500 records with known totals.

Hour i has n = 10,000 + 500 i + (i mod 8) 2,000 records. Of these int(0.95 n) pass validation and
int(0.90 n) are left without duplicates; over the day 546,000, 518,700 and 491,400. The course's
figures; the shares are computed in integers, because 0.95 n in floats may fall below a whole one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from random import Random
from typing import Final, NamedTuple

from core.errors import ConfigurationError
from producers.dirt import REJECTED_KINDS, Spoiler
from producers.record import Record
from producers.shop import DEFAULT_SHOPPERS, Shop
from producers.variants import VARIANTS, Variant

NAME: Final = "module-01"
HOURS: Final = 24
#: A duplicate repeats one of this many events before it, so that any horizon remembers it.
_CLOSE: Final = 32


class Hour(NamedTuple):
    """How many records of an hour there are, pass validation, and are left without duplicates."""

    records: int
    valid: int
    unique: int


def hour(index: int) -> Hour:
    """The figures of hour `index`, 0..23."""
    records = 10_000 + 500 * index + index % 8 * 2_000
    return Hour(records, records * 95 // 100, records * 90 // 100)


DAY: Final = tuple(map(hour, range(HOURS)))


class DayStream:
    """The records of the day, hour by hour, within `seconds`; then no more.

    Rejected records and duplicates lie scattered over their hour. Event times are wall times,
    and each claim says its `hour`. Repeatable like `ShopStream`.
    """

    def __init__(
        self,
        seed: int,
        run: str,
        seconds: float,
        *,
        variants: Sequence[Variant] = VARIANTS,
        shoppers: int = DEFAULT_SHOPPERS,
    ) -> None:
        """`seconds`: how long the day takes at the rate that `rate` asks for; 0: no limit. `variants`: of what is spoilt.

        Raises `ConfigurationError` where that is negative, and as `Shop` does.
        """
        if not seconds >= 0:
            raise ConfigurationError(f"day: {seconds} s is no length; use 0 or more seconds")
        random = Random(seed)  # noqa: S311 - a synthetic shop, no secrets
        self._random = random
        self._shop = Shop(random, run, shoppers)
        self._spoiler = Spoiler(random, self._shop, variants)
        self._hour_s = seconds / HOURS
        self._recent: deque[Record] = deque(maxlen=_CLOSE)
        self._begin(0)

    def rate(self) -> float:
        """Records a second in the present hour, for the pacer; 0 for no limit."""
        if not self._hour_s:
            return 0.0
        return DAY[min(self._hour, HOURS - 1)].records / self._hour_s

    def take(self, count: int, now_ms: int) -> list[Record]:
        """At most `count` records, all of one hour; none when the day is over."""
        if not self._left and self._hour < HOURS:
            self._begin(self._hour + 1)
        return [self._next(now_ms) for _ in range(min(count, self._left))]

    def _begin(self, index: int) -> None:
        self._hour = self._shop.hour = index
        figures = DAY[index] if index < HOURS else Hour(0, 0, 0)
        self._left = figures.records
        self._rejected = figures.records - figures.valid
        self._duplicates = figures.valid - figures.unique
        self._recent.clear()

    def _next(self, now_ms: int) -> Record:
        place = int(self._random.random() * self._left)
        self._left -= 1
        if place < self._rejected:
            self._rejected -= 1
            return self._spoiler.record(self._random.choice(REJECTED_KINDS), now_ms)
        if place < self._rejected + self._duplicates and self._recent:
            self._duplicates -= 1
            return self._random.choice(self._recent).again()
        (record,) = self._shop.events(1, now_ms)
        self._recent.append(record)
        return record
