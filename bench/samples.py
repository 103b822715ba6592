"""Samples of a run: how far it was, what it had used; and the speed that follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.errors import FourfoldError
from core.position import PartitionKey


@dataclass(frozen=True, slots=True)
class Sample:
    """`at_s` on a monotonic clock; `vector` the next offset of each partition."""

    at_s: float
    vector: Mapping[PartitionKey, int]
    cpu_s: float
    resident: int

    @property
    def counted(self) -> int:
        """Records counted so far, of a log that begins at 0."""
        return sum(self.vector.values())


@dataclass(frozen=True, slots=True)
class Speed:
    """Events a second, CPU seconds per million events, the most memory in MB."""

    events: int
    seconds: float
    events_per_s: float
    cpu_s_per_million: float
    peak_mb: float


def speed(samples: Sequence[Sample], shares: Sequence[frozenset[PartitionKey]] = ()) -> Speed:
    """From the first movement to the last one: starting and joining are left out.

    `shares`: the partitions of each worker; the clock starts once every one of them has moved.
    Raises `FourfoldError` where nothing moved long enough to be measured.
    """
    groups = shares or [frozenset(samples[-1].vector)]
    moved = [s for s in samples if all(any(s.vector.get(p, 0) for p in group) for group in groups)]
    total = samples[-1].counted
    if not moved or moved[0].counted == total:
        raise FourfoldError("too few events to measure a speed: use --events with a larger number")
    first = moved[0]
    last = next(s for s in moved if s.counted == total)
    events, seconds = last.counted - first.counted, last.at_s - first.at_s
    return Speed(
        events=events,
        seconds=seconds,
        events_per_s=events / seconds,
        cpu_s_per_million=(last.cpu_s - first.cpu_s) / events * 1e6,
        peak_mb=max(s.resident for s in samples) / 1e6,
    )
