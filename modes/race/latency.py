"""Latency: from a record's append to the first look that found it covered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import FourfoldError
from core.position import PartitionKey

#: By partition: when (ms since 1970) which next offset was first seen, both rising.
Seen = Mapping[PartitionKey, tuple[Sequence[float], Sequence[int]]]


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds. Append times are whole ones cut off, so all are up to 1 ms too long."""

    records: int
    p50_ms: float
    p99_ms: float
    max_ms: float


def first_seen(
    changes: Iterable[tuple[float, Mapping[PartitionKey, int]]],
) -> dict[PartitionKey, tuple[list[float], list[int]]]:
    """From (ms since 1970, vector) in the order of time: when each next offset was first seen."""
    out: dict[PartitionKey, tuple[list[float], list[int]]] = {}
    for at_ms, vector in changes:
        for source, offset in vector.items():
            times, offsets = out.setdefault(source, ([], []))
            if not offsets or offset > offsets[-1]:
                times.append(at_ms)
                offsets.append(offset)
    return out


def latencies(appended: Iterable[tuple[PartitionKey, int, int]], seen: Seen) -> npt.NDArray[Any]:
    """`appended`: (partition, offset, append time in ms). Raises `FourfoldError` for one never covered."""
    by_source: dict[PartitionKey, list[tuple[int, int]]] = {}
    for source, offset, append_ms in appended:
        by_source.setdefault(source, []).append((offset, append_ms))
    parts: list[npt.NDArray[Any]] = [np.zeros(0)]
    for source, records in by_source.items():
        times, offsets = seen.get(source, ((), ()))
        wanted = np.array([offset for offset, _ in records])
        # a record is covered as soon as the next offset is above its own
        first = np.searchsorted(np.array(offsets), wanted, side="right")
        if first.max(initial=-1) >= len(times):
            raise FourfoldError(f"records of {source} were never seen in the view")
        parts.append(np.array(times)[first] - np.array([append_ms for _, append_ms in records]))
    return np.concatenate(parts)


def summary(values: npt.NDArray[Any]) -> Latency:
    """Percentiles. Raises `FourfoldError` where there are no records."""
    if not len(values):
        raise FourfoldError("no records were appended while freshness was measured")
    p50, p99 = np.percentile(values, [50, 99])
    return Latency(len(values), float(p50), float(p99), float(values.max()))
