"""What a reader holds: cells, users and counters by epoch, with their sums, kept current by what is added."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from adapters.speed.blocks import Block
from adapters.speed.held_cells import HeldCells
from adapters.speed.port import Snapshot
from core.cell_history import CellHistory
from core.cells import Cell
from core.position import PartitionKey, Position
from core.sketch import Sketch, union_count

_Key = tuple[str, str]


@dataclass(slots=True)
class _Part:
    cells: CellHistory
    users: dict[int, Sketch] = field(default_factory=dict)
    totals: dict[_Key, Cell] = field(default_factory=dict)


class EpochParts:
    """Epoch to what was counted in it. For one thread; pictures of it never change."""

    def __init__(self, measures: tuple[str, ...]) -> None:
        self._measures = measures
        self.clear()

    def clear(self) -> None:
        """Forgets everything."""
        self._parts: dict[int, _Part] = {}
        self._quality: dict[int, Counter[str]] = {}
        self._totals: dict[_Key, Cell] = {}
        self._counters: Counter[str] = Counter()

    def add(self, epoch: int, block: Block) -> None:
        """Adds what a block holds."""
        part = self._parts.get(epoch)
        if part is None:
            part = self._parts[epoch] = _Part(CellHistory(self._measures))
        part.cells.add(block.table)
        for key, sums in block.table.totals().items():
            cell = Cell(sums)
            for totals in (part.totals, self._totals):
                old = totals.get(key)
                totals[key] = cell if old is None else old.plus(cell)
        for minute, sketch in block.users.items():
            if minute not in part.users:
                part.users[minute] = Sketch()
            part.users[minute].merge(sketch)
        for name, counters in block.counters.items():
            self._quality.setdefault(name, Counter()).update(counters)
            self._counters.update(counters)

    def drop_below(self, floor: int) -> None:
        """Forgets epochs below `floor`."""
        for epoch in [epoch for epoch in self._parts if epoch < floor]:
            for key, cell in self._parts.pop(epoch).totals.items():
                left = self._totals[key].minus(cell)
                if any(left):
                    self._totals[key] = left
                else:
                    del self._totals[key]
        for epoch in [epoch for epoch in self._quality if epoch < floor]:
            self._counters.subtract(self._quality.pop(epoch))

    def users_of(self, minutes: Iterable[int], more: Iterable[str] = ()) -> int:
        """Distinct users of minutes of event time, and of `more`, together: estimated."""
        wanted = set(minutes)
        found = [sketch for part in self._parts.values() for minute, sketch in part.users.items() if minute in wanted]
        return union_count([*found, Sketch.of(more)])

    def snapshot(self, positions: Mapping[PartitionKey, Position], floor: int, states: tuple[str, ...]) -> Snapshot:
        """A picture of now."""
        return Snapshot(
            positions=positions,
            floor=floor,
            cells=HeldCells({epoch: part.cells.view() for epoch, part in self._parts.items()}),
            quality={epoch: dict(counters) for epoch, counters in self._quality.items()},
            totals=dict(self._totals),
            counters={name: number for name, number in self._counters.items() if number},
            states=states,
        )
