"""The live error: how far totals are from the truth, records without a truth header taken into account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from core.cells import DIMENSIONS, Cell

#: The contract's bounds of one sale.
_MOST_UNITS: Final = 10_000
_MOST_CENTS: Final = 10_000 * 100_000_000


def live_error(totals: Mapping[tuple[str, str], Cell], true: Mapping[tuple[str, str], Cell], unaudited: int) -> int:
    """The sum of what that many unaudited records do not explain, over totals by (dimension, value)."""
    error = 0
    left = dict.fromkeys(DIMENSIONS, unaudited)
    for key in totals.keys() | true.keys():
        seen, known = totals.get(key, Cell()), true.get(key, Cell())
        if seen == known:
            continue
        extra = Cell(*(a - b for a, b in zip(seen, known, strict=True)))
        error += sum(abs(number) for number, allowed in zip(extra, possible(extra), strict=True) if not allowed)
        left[key[0]] -= max(0, extra.clicks) + max(0, extra.sales)
    return error + sum(-number for number in left.values() if number < 0)


def possible(extra: Cell) -> tuple[bool, bool, bool, bool]:
    """Which measures events can have added like this."""
    sales = extra.sales
    return (
        extra.clicks >= 0,
        sales >= 0,
        sales <= extra.units <= sales * _MOST_UNITS,
        0 <= extra.revenue_cents <= sales * _MOST_CENTS,
    )
