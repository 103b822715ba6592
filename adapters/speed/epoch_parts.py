"""What a reader holds: cells, users and counters by epoch, with their sums, kept current by what is added."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from adapters.speed.blocks import Block, gather_old
from adapters.speed.held_cells import HeldCells
from adapters.speed.held_users import HeldUsers
from adapters.speed.port import Snapshot
from core.cell_history import CellHistory
from core.cell_table import CellTable
from core.cells import Cell
from core.position import PartitionKey, Position
from core.rollup import BY_MINUTES, Grain
from core.sketch import Sketch

_Key = tuple[str, str]
#: Where epochs are not told apart, counters of this many newest ones still are: they show what is wrong now.
_RECENT: Final = 64


@dataclass(slots=True)
class _Part:
    cells: CellHistory
    users: dict[int, Sketch] = field(default_factory=dict)
    totals: dict[_Key, Cell] = field(default_factory=dict)


class EpochParts:
    """Epoch to what was counted in it. For one thread; pictures of it never change."""

    def __init__(self, measures: tuple[str, ...], *, by_epoch: bool = True) -> None:
        """Where not `by_epoch`, no epoch can be dropped, and spans are summed faster."""
        self._measures = measures
        self._by_epoch = by_epoch
        self.clear()

    def clear(self) -> None:
        """Forgets everything."""
        self._parts: dict[int, _Part] = {}
        self._quality: dict[int, Counter[str]] = {}
        self._totals: dict[_Key, Cell] = {}
        self._counters: Counter[str] = Counter()
        self._grain = BY_MINUTES
        #: the first epoch of merged ones to the last
        self._ranges: dict[int, int] = {}
        #: the last picture, and whether anything was added or dropped since
        self._last: Snapshot | None = None
        self._changed = True

    def add(self, epoch: int, block: Block) -> None:
        """Adds what a block holds."""
        self.add_totals(epoch, block)
        self.add_cells(epoch, block)

    def add_totals(self, epoch: int, block: Block) -> None:
        """Adds to sums and counters alone."""
        part = self._part(epoch)
        for key, sums in block.table.totals().items():
            cell = Cell(sums)
            for totals in (part.totals, self._totals) if self._by_epoch else (self._totals,):
                old = totals.get(key)
                totals[key] = cell if old is None else old.plus(cell)
        self._changed = True
        for name, counters in block.counters.items():
            self._quality.setdefault(name, Counter()).update(counters)
            self._counters.update(counters)
        if not self._by_epoch and len(self._quality) > 2 * _RECENT:
            gather_old(self._quality, _RECENT)

    def add_range(self, first: int, last: int, block: Block, *, totals: bool) -> None:
        """Adds what was merged of a range of epochs, `totals` or cells and users alone."""
        if self._by_epoch and last > first:
            self._ranges[first] = max(last, self._ranges.get(first, last))
        (self.add if totals else self.add_cells)(first, block)

    def roll(self, grain: Grain) -> None:
        """Keeps event time as coarsely as this from here on. Raises `CellOverflowError`."""
        grain = grain.coarser(self._grain)
        if grain == self._grain:
            return
        self._grain, self._changed = grain, True
        for part in self._parts.values():
            part.cells.roll(*grain)
            part.users = Block(CellTable.empty(self._measures), part.users).rolled(grain).users

    def add_cells(self, epoch: int, block: Block) -> None:
        """Adds cells and users alone."""
        self._changed = True
        if self._grain.hours_below:
            block = block.rolled(self._grain)
        part = self._part(epoch)
        part.cells.add(block.table)
        for minute, sketch in block.users.items():
            # a new one: pictures hold the old one
            whole = Sketch()
            if minute in part.users:
                whole.merge(part.users[minute])
            whole.merge(sketch)
            part.users[minute] = whole

    def drop_below(self, floor: int) -> None:
        """Forgets epochs below `floor`."""
        self._changed = self._changed or any(epoch < floor for epoch in (*self._parts, *self._quality))
        zero = Cell((0,) * len(self._measures))
        for epoch in [epoch for epoch in self._parts if epoch < floor]:
            for key, cell in self._parts.pop(epoch).totals.items():
                # what sums up to nothing may have been dropped before
                left = self._totals.get(key, zero).minus(cell)
                if any(left):
                    self._totals[key] = left
                else:
                    self._totals.pop(key, None)
        for epoch in [epoch for epoch in self._quality if epoch < floor]:
            self._counters.subtract(self._quality.pop(epoch))

    def snapshot(
        self,
        positions: Mapping[PartitionKey, Position],
        floor: int,
        states: tuple[str, ...] = (),
        loading: str = "",
    ) -> Snapshot:
        """A picture of now."""
        last = self._last
        if last is not None and not self._changed and last.loading == loading:
            return replace(last, positions=positions, floor=floor, states=states)
        self._changed = False
        self._last = Snapshot(
            positions=positions,
            floor=floor,
            cells=HeldCells({} if loading else {epoch: part.cells.view() for epoch, part in self._parts.items()}),
            quality={epoch: dict(counters) for epoch, counters in self._quality.items()},
            totals=dict(self._totals),
            counters={name: number for name, number in self._counters.items() if number},
            states=states,
            users=HeldUsers(dict(part.users) for part in self._parts.values()),
            loading=loading,
            grain=self._grain,
            ranges=_joined(self._ranges),
        )
        return self._last

    def _part(self, epoch: int) -> _Part:
        group = epoch if self._by_epoch else 0
        part = self._parts.get(group)
        if part is None:
            part = self._parts[group] = _Part(CellHistory(self._measures))
        return part


def _joined(ranges: Mapping[int, int]) -> tuple[tuple[int, int], ...]:
    """The ranges that are in no other: those of partitions are nested or apart."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(ranges.items()):
        if not joined or first > joined[-1][1]:
            joined.append((first, last))
    return tuple(joined)
