"""The endless stream: the shop with its share of dirt."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from math import log, log1p
from random import Random
from typing import Final

from producers.dirt import DirtShares, Spoiler, kind_shares
from producers.record import DUPLICATE, LATE, OUT_OF_ORDER, Record
from producers.resends import CAPACITY, TAIL_MS, Resends
from producers.shop import DEFAULT_SHOPPERS, NATURAL_DELAY_MS, Shop
from producers.variants import VARIANTS, Variant

#: By how much more than the natural delay a late event is delayed: beyond the allowed lateness of
#: 60 s even where a partition's newest event is a few seconds old; 10 min at most. Milliseconds.
LATE_MS: Final = (65_000, 600_000 - NATURAL_DELAY_MS)
#: The same for an event out of order; 30 s at most. Milliseconds.
OUT_OF_ORDER_MS: Final = (2_000, 30_000 - NATURAL_DELAY_MS)

_FOREVER: Final = 1 << 62


class ShopStream:
    """Records without end. Repeatable: the same arguments and calls of `take`, the same bytes."""

    def __init__(
        self,
        seed: int,
        run: str,
        shares: DirtShares | None = None,
        *,
        variants: Sequence[Variant] = VARIANTS,
        shoppers: int = DEFAULT_SHOPPERS,
        resend_capacity: int = CAPACITY,
        resend_tail_ms: tuple[int, int] = TAIL_MS,
    ) -> None:
        """`run`: part of every event id, never to be used twice (see `Shop`).

        `variants`: of what is spoilt. `resend_tail_ms`: see `Resends`.

        Raises `ConfigurationError` for a run or a number of shoppers that cannot be.
        """
        shares = shares or DirtShares()
        random = Random(seed)  # noqa: S311 - a synthetic shop, no secrets
        self._random = random
        self._shop = Shop(random, run, shoppers)
        self._spoiler = Spoiler(random, self._shop, variants)
        self._resends = Resends(random, resend_capacity, resend_tail_ms)
        # shares are of all records; a draw decides only on those that are no re-sends
        drawn = 1 - shares.duplicates
        kinds = (
            (DUPLICATE, shares.duplicates),
            (LATE, shares.late),
            (OUT_OF_ORDER, shares.out_of_order),
            *kind_shares(shares),
        )
        self._kinds = [kind for kind, _ in kinds]
        self._bounds = list(accumulate(share / drawn for _, share in kinds))
        self._clean_left = self._clean_run()

    def take(self, count: int, now_ms: int) -> list[Record]:
        """The next `count` records at wall time `now_ms` (ms since 1970)."""
        out = self._resends.due(now_ms, count)
        while (missing := count - len(out)) > 0:
            clean = min(missing, self._clean_left)
            out += self._shop.events(clean, now_ms)
            self._clean_left -= clean
            if clean < missing:
                out.append(self._dirty(now_ms))
                self._clean_left = self._clean_run()
        return out

    def _clean_run(self) -> int:
        # how many clean ones come before the next dirty one, drawn at once: a draw for each
        # record would cost a tenth of making it
        dirty = self._bounds[-1]
        if not dirty:
            return _FOREVER
        if dirty >= 1:
            return 0
        return int(log(1 - self._random.random()) / log1p(-dirty))

    def _dirty(self, now_ms: int) -> Record:
        random, shop = self._random, self._shop
        bounds = self._bounds
        kind = self._kinds[bisect_right(bounds, random.random() * bounds[-1])]
        if kind == DUPLICATE:
            (record,) = shop.events(1, now_ms)
            self._resends.add(record, now_ms)
            return record
        if kind == LATE:
            (record,) = shop.events(1, now_ms - random.randint(*LATE_MS), late=True)
            return record._replace(kind=LATE)
        if kind == OUT_OF_ORDER:
            (record,) = shop.events(1, now_ms - random.randint(*OUT_OF_ORDER_MS))
            return record._replace(kind=OUT_OF_ORDER)
        return self._spoiler.record(kind, now_ms)
