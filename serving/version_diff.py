"""The difference of two versions of a job, cell by cell, at the same place of the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

from adapters.speed.port import Snapshot
from core.cells import MINUTE_MS, Cell, CellKey, Cells, merge
from core.declaration.pipeline import ALL, Pipeline
from core.position import PartitionKey
from core.rfc3339 import to_text
from core.rollup import Grain

#: Differing cells that are listed; the rest is a number.
LISTED: Final = 10


@dataclass(frozen=True, slots=True)
class Change:
    """A cell that the two have differently; None where one does not have it."""

    key: CellKey
    before: Cell | None
    after: Cell | None

    @property
    def distance(self) -> int:
        """How far they are apart, all measures together."""
        if self.before is None or self.after is None:
            return sum(map(abs, self.before or self.after or ()))
        return sum(map(abs, self.after.minus(self.before)))


@dataclass(frozen=True, slots=True)
class VersionDiff:
    """What `after` has otherwise than `before`.

    `measures`: by name, as in cells. `below`: both have all records of epochs below it, and only these are compared; None where both
    stand at the same offsets, and all is compared. `grain`: how fine event time is compared. `rows`: `compared` cells; `changes`: the largest first.
    """

    measures: Sequence[str]
    below: int | None
    grain: Grain
    compared: int
    changes: list[Change]
    totals: tuple[Cell, Cell]
    counters: tuple[Mapping[str, int], Mapping[str, int]]

    @property
    def equal(self) -> bool:
        """Whether they say the same."""
        return not self.changes and self.counters[0] == self.counters[1]

    @property
    def percent(self) -> float:
        """The largest change of a measure's total, in percent of what it was; 100 from nothing to something."""
        return max(_percent(before, after) for before, after in zip(*self.totals, strict=True))

    def as_json(self, epoch_ms: int, offsets: Mapping[PartitionKey, int]) -> dict[str, Any]:
        """The document of `fourfold replay diff --json`. `offsets`: of the place where they are compared."""
        before, after = self.totals
        return {
            "equal": self.equal,
            "below_epoch": self.below,
            "until": None if self.below is None else to_text(self.below * epoch_ms),
            "offsets": {str(source): offset for source, offset in sorted(offsets.items())},
            "minutes_since": to_text(self.grain.hours_below * MINUTE_MS) if self.grain.hours_below else None,
            "compared_cells": self.compared,
            "differing_cells": len(self.changes),
            "percent": self.percent,
            "totals": {
                measure: {"before": a, "after": b, "percent": _percent(a, b)}
                for measure, a, b in zip(self.measures, before, after, strict=True)
            },
            "counters": {
                name: {"before": self.counters[0].get(name, 0), "after": self.counters[1].get(name, 0)}
                for name in sorted(self.counters[0].keys() | self.counters[1].keys())
                if self.counters[0].get(name, 0) != self.counters[1].get(name, 0)
            },
            "largest": [
                {
                    "minute": to_text(change.key.minute * MINUTE_MS),
                    "dimension": change.key.dimension,
                    "value": change.key.value,
                    "before": self._named(change.before),
                    "after": self._named(change.after),
                }
                for change in self.changes[:LISTED]
            ],
        }

    def _named(self, cell: Cell | None) -> dict[str, int] | None:
        return None if cell is None else dict(zip(self.measures, cell, strict=True))


def version_diff(before: Snapshot, after: Snapshot, pipeline: Pipeline) -> VersionDiff:
    """Compares two views of one log, begun under the same rules, wherever each of them stands.

    Epochs are slices of the log: a view has all records of the epochs below the one that a partition
    stands in. So both have the same records below the lowest epoch in which they still differ.
    """
    below = common_epoch(before, after)
    grain = before.grain.coarser(after.grain)
    one, two = grain.cells(_cells(before, below)), grain.cells(_cells(after, below))
    changes = [
        Change(key, one.get(key), two.get(key)) for key in one.keys() | two.keys() if one.get(key) != two.get(key)
    ]
    changes.sort(key=lambda change: (-change.distance, change.key))
    return VersionDiff(
        tuple(pipeline.measures),
        below,
        grain,
        len(one.keys() | two.keys()),
        changes,
        (_total(one, pipeline.zero), _total(two, pipeline.zero)),
        (_counters(before, below), _counters(after, below)),
    )


def common_epoch(one: Snapshot, two: Snapshot) -> int | None:
    """Both have counted the same records of the epochs below it; None where that holds for all epochs."""
    epochs = []
    for source in one.positions.keys() | two.positions.keys():
        a, b = one.positions.get(source), two.positions.get(source)
        if a is None or b is None:
            epochs.append(0)
        elif a.next != b.next:
            epochs.append(min(a.epoch, b.epoch))
    below = min(epochs, default=None)
    if below is None:
        return None
    # a range of merged epochs is compared as a whole, or not
    for first, last in sorted((*one.ranges, *two.ranges), reverse=True):
        if first < below <= last:
            below = first
    return below


def _cells(snapshot: Snapshot, below: int | None) -> Cells:
    return merge(*(part for (epoch, _), part in snapshot.cells.items() if below is None or epoch < below))


def _counters(snapshot: Snapshot, below: int | None) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for epoch, counters in snapshot.quality.items():
        if below is None or epoch < below:
            sums.update(counters)
    return {name: number for name, number in sums.items() if number}


def _total(cells: Cells, zero: Cell) -> Cell:
    return reduce(Cell.plus, (cell for key, cell in cells.items() if key.dimension == ALL), zero)


def _percent(before: int, after: int) -> float:
    if before == after:
        return 0.0
    return 100.0 * abs(after - before) / before if before else 100.0
