"""Keeps a snapshot current from changes, so that a read costs what changed and no more."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.speed.port import Snapshot
from core.cells import Cell, Cells
from core.position import PartitionKey, Position

_Key = tuple[str, str]


class SnapshotBuilder:
    """Hashes by (epoch, minute) as last read, with their sums by (dimension, value)."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forgets everything."""
        self._cells: dict[tuple[int, int], Cells] = {}
        self._quality: dict[int, dict[str, int]] = {}
        self._totals: dict[_Key, Cell] = {}
        self._counters: dict[str, int] = {}

    def set_cells(self, epoch: int, minute: int, cells: Cells) -> None:
        """The cells at (epoch, minute) are these now."""
        self._take_back(self._cells.get((epoch, minute), {}))
        totals = self._totals
        for key, cell in cells.items():
            old = totals.get(key[1:])
            totals[key[1:]] = cell if old is None else old.plus(cell)
        self._cells[epoch, minute] = cells

    def set_quality(self, epoch: int, counters: Mapping[str, int]) -> None:
        """The quality counters of an epoch are these now."""
        self._shift_counters(self._quality.get(epoch, {}), -1)
        self._shift_counters(counters, 1)
        self._quality[epoch] = dict(counters)

    def drop_below(self, floor: int) -> None:
        """Forgets epochs below `floor`."""
        for key in [key for key in self._cells if key[0] < floor]:
            self._take_back(self._cells.pop(key))
        for epoch in [epoch for epoch in self._quality if epoch < floor]:
            self._shift_counters(self._quality.pop(epoch), -1)

    def snapshot(self, positions: Mapping[PartitionKey, Position], floor: int) -> Snapshot:
        """An immutable picture of now."""
        return Snapshot(
            positions=dict(positions),
            floor=floor,
            cells=dict(self._cells),
            quality={epoch: dict(counters) for epoch, counters in self._quality.items()},
            totals={key: cell for key, cell in self._totals.items() if any(cell)},
            counters={name: n for name, n in self._counters.items() if n},
        )

    def _take_back(self, cells: Cells) -> None:
        for key, cell in cells.items():
            self._totals[key[1:]] = self._totals[key[1:]].minus(cell)

    def _shift_counters(self, counters: Mapping[str, int], sign: int) -> None:
        for name, number in counters.items():
            self._counters[name] = self._counters.get(name, 0) + sign * number
