"""What rejections and lateness say about the clocks of producers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Final

from core.verdict import Reason

#: Where so large a share of records is rejected or late, it is no accident of single records.
FUTURE_SHARE: Final = 0.1
LATE_SHARE: Final = 0.5
#: Fewer records say nothing.
FEWEST: Final = 100
_FUTURE: Final = f"rejected:{Reason.FROM_FUTURE}"
_RECORDS: Final = ("accepted", "duplicates", "rejected:")
#: As `core.contract` says it.
_AHEAD: Final = re.compile(r"^event time is (\d{1,12}) s ahead of the append time$", re.ASCII)
_REMEDY: Final = "set the clock of whoever sends them right (NTP)"


def suspicion(counters: Mapping[str, int], ahead_s: float | None = None) -> str | None:
    """Whether a clock is wrong, in words, by counters as in `core.delta`.

    `ahead_s`: by how much event times are ahead of append times, where that is known.
    """
    total = sum(number for name, number in counters.items() if name.startswith(_RECORDS))
    if total < FEWEST:
        return None
    future, late = counters.get(_FUTURE, 0), counters.get("late", 0)
    if future >= FUTURE_SHARE * total:
        by = "" if ahead_s is None else f" by about {_span(ahead_s)}"
        return f"{future:,} of {total:,} records are from the future: a producer's clock is ahead{by}; {_REMEDY}"
    if late >= LATE_SHARE * total:
        return (
            f"{late:,} of {total:,} records are late: a producer's clock is behind, or it sends old events; {_REMEDY} "
            "or raise FOURFOLD_LATENESS_SECONDS"
        )
    return None


def typical_ahead_s(details: Iterable[str]) -> float | None:
    """How far event times are ahead of append times, by the details of rejections; None where none says so."""
    found = [int(matched[1]) for detail in details if (matched := _AHEAD.match(detail))]
    return float(median(found)) if found else None


def _span(seconds: float) -> str:
    if seconds < 120:  # noqa: PLR2004 - two minutes
        return f"{seconds:.0f} s"
    if seconds < 7200:  # noqa: PLR2004 - two hours
        return f"{seconds / 60:.0f} minutes"
    if seconds < 172_800:  # noqa: PLR2004 - two days
        return f"{seconds / 3600:.0f} hours"
    return f"{seconds / 86400:,.0f} days"
