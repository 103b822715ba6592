"""Freshness: from a record's append until an answer of the API covers it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from core.position import PartitionKey
from modes.race.latency import Seen, latencies

PERCENTILES: Final = (50, 95, 99)
#: Points of a curve.
POINTS: Final = 120


def freshness(appended: Sequence[tuple[PartitionKey, int, int]], seen: Seen) -> dict[str, Any]:
    """Seconds: percentiles over all records, and the curve over the time of append.

    `appended`: (partition, offset, append time in ms). Raises `FourfoldError` where a record was never covered.
    """
    taken = latencies(appended, seen) / 1000
    # in the order that `latencies` has
    by_source: dict[PartitionKey, list[int]] = {}
    for source, _, append_ms in appended:
        by_source.setdefault(source, []).append(append_ms)
    times = np.concatenate([np.array(of) for of in by_source.values()]) if by_source else np.zeros(0)
    start, end = float(times.min()), float(times.max()) + 1
    places = np.minimum(((times - start) / (end - start) * POINTS).astype(int), POINTS - 1)
    curve = []
    for place in range(POINTS):
        here = taken[places == place]
        if len(here):
            at_s = (place + 0.5) * (end - start) / POINTS / 1000
            curve.append([round(at_s, 2), round(float(np.median(here)), 4), round(float(here.max()), 4)])
    figures = np.percentile(taken, PERCENTILES)
    return {
        "records": len(taken),
        **{f"p{name}": round(float(figure), 4) for name, figure in zip(PERCENTILES, figures, strict=True)},
        "max": round(float(taken.max()), 4),
        "curve": curve,
    }
