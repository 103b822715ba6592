"""An answer: what all views together say at one instant, and what it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from adapters.speed.port import Snapshot
from core.cells import Cell, Cells, merge
from core.cut import Cut
from core.declaration.pipeline import ALL
from core.position import PartitionKey
from core.rollup import BY_MINUTES, Grain
from serving.totals import Key, SummedTotals

if TYPE_CHECKING:
    # loaded by those who read one: pyarrow takes half a second
    from adapters.lake.batch_view import BatchView


NO_BATCH_VIEW: Final = "no batch view yet"
BEHIND: Final = "processor behind the cut"


@dataclass(frozen=True, slots=True)
class Answer:
    """Batch view below its cut and speed view from it on, whichever there are.

    `zero`: a cell in which nothing is counted. `totals`: (dimension, value) to the sum over all minutes. `counters`: as in `core.delta`.
    `vector`: records below it are counted, others not. `floor`: epochs below it are in nothing
    (what left a streaming window), 0 with a batch view. `states`: what a reader must know, in words.
    """

    zero: Cell
    totals: Mapping[Key, Cell] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)
    vector: Mapping[PartitionKey, int] = field(default_factory=dict)
    floor: int = 0
    appended_ms: int = 0
    newest_ms: int = 0
    lost: int = 0
    speed: Snapshot | None = None
    batch: BatchView | None = None
    states: tuple[str, ...] = ()

    @property
    def cut(self) -> Cut | None:
        """Where the batch view ends; None without one."""
        return None if self.batch is None else self.batch.cut

    @property
    def cut_epoch(self) -> int:
        """Epochs below it come from the batch view, the others from the speed view; 0: all from there."""
        return 0 if self.batch is None else self.batch.cut.epoch

    @property
    def grain(self) -> Grain:
        """How fine event time is kept."""
        return BY_MINUTES if self.speed is None else self.speed.grain

    @property
    def total(self) -> Cell:
        """The sum of everything."""
        return self.totals.get((ALL, ""), self.zero)

    def cells(self) -> Cells:
        """All cells."""
        return merge(
            self.batch.cells() if self.batch else {},
            self.speed.merged() if self.speed else {},
        )

    def between(self, start: int, end: int, dimension: str | None = None) -> dict[Key, Cell]:
        """Sums by (dimension, value) over minutes `start` (included) to `end` (left out); of one dimension, or of all."""
        batch = self.batch.between(start, end) if self.batch else {}
        if dimension is not None:
            batch = {key: cell for key, cell in batch.items() if key[0] == dimension}
        return merge(batch, self.speed.held.between(start, end, dimension) if self.speed else {})

    def series(self, key: Key, start: int, end: int) -> dict[int, Cell]:
        """Minute to cell of one (dimension, value), in the order of time; minutes without events left out."""
        batch = self.batch.series(key, start, end) if self.batch else {}
        found = merge(batch, self.speed.held.series(key, start, end) if self.speed else {})
        return dict(sorted(found.items()))


def merged(zero: Cell, speed: Snapshot | None, batch: BatchView | None, *states: str) -> Answer:
    """The answer of these views. `zero`: a cell in which nothing is counted. `speed` holds only epochs at and above the cut of `batch`."""
    totals = SummedTotals(batch.totals if batch else {}, speed.totals if speed else {})
    counters: dict[str, int] = dict(batch.manifest.counters) if batch else {}
    vector: dict[PartitionKey, int] = dict(batch.cut.vector) if batch else {}
    partitions = batch.manifest.partitions if batch else {}
    appended = [state.appended_ms for state in partitions.values()]
    newest = {source: state.newest_ms for source, state in partitions.items()}
    lost = sum(state.lost for state in partitions.values())
    said = list(states)
    if speed is not None:
        said += speed.states
        for name, number in speed.counters.items():
            counters[name] = counters.get(name, 0) + number
        if any(speed.vector.get(source, 0) < offset for source, offset in vector.items()):
            said.append(BEHIND)
        for source, position in speed.positions.items():
            vector[source] = max(vector.get(source, 0), position.next)
            newest[source] = max(newest.get(source, 0), position.newest_ms)
            appended.append(position.appended_ms)
            lost += position.lost
    return Answer(
        zero=zero,
        totals=totals,
        counters={name: number for name, number in counters.items() if number},
        vector=vector,
        floor=0 if batch or speed is None else speed.floor,
        appended_ms=max(appended, default=0),
        newest_ms=min((ms for ms in newest.values() if ms), default=0),
        lost=lost,
        speed=speed,
        batch=batch,
        states=tuple(said),
    )
