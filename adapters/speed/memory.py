"""The twin of the Redis store: the same behaviour in memory, for tests and small tools."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from adapters.speed.binding import check_binding
from adapters.speed.blocks import Block, block_of_entries
from adapters.speed.epoch_parts import EpochParts
from adapters.speed.increments import packed
from adapters.speed.merging import refused
from adapters.speed.port import Outcome, Snapshot, Step
from adapters.speed.redis_errors import lost
from core.cells import LARGEST, CellOverflowError
from core.declaration.pipeline import Pipeline
from core.position import PartitionKey, Position
from core.rules import Rules


@dataclass(slots=True)
class _Partition:
    position: str = ""
    floor: int = 0
    lost: str = ""
    blocks: dict[int, list[Block]] = field(default_factory=dict)


class MemoryStore:
    """Both sides of one speed view. `flush` empties it as FLUSHALL would, `lose` loses a part of a partition."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._measures = tuple(pipeline.measures)
        self._opened: dict[PartitionKey, _Partition] = {}
        self.flush()

    def flush(self) -> None:
        """Loses everything."""
        self._partitions: dict[PartitionKey, _Partition] = {}
        self._rules: Rules | None = None
        self._identity = ""
        self._born = object()

    def lose(self, partition: PartitionKey, part: str) -> None:
        """Loses a part: it is noticed, and the partition begins again when it is opened next."""
        self._partitions[partition].lost = part

    async def begin(self, rules: Rules, identity: str) -> None:
        """See `SpeedSink.begin`."""
        if self._rules is None:
            self._rules, self._identity = rules, identity
        check_binding("memory", (self._rules.encode(), self._identity), (rules.encode(), identity))
        self._begun = self._born

    async def positions(self, partitions: Iterable[PartitionKey]) -> dict[PartitionKey, str | None]:
        """See `SpeedSink.positions`."""
        found: dict[PartitionKey, str | None] = {}
        self._opened = {}
        for partition in partitions:
            there = self._partitions.get(partition)
            if there is None or there.lost:
                there = self._partitions[partition] = _Partition(floor=there.floor if there else 0)
            self._opened[partition] = there
            found[partition] = there.position or None
        return found

    async def all_positions(self) -> dict[PartitionKey, str]:
        """See `SpeedSink.all_positions`."""
        return {partition: there.position for partition, there in self._partitions.items() if there.position}

    async def apply(self, steps: Sequence[Step]) -> dict[PartitionKey, Outcome]:
        """See `SpeedSink.apply`."""
        return {step.partition: self._apply(step) for step in steps}

    def _apply(self, step: Step) -> Outcome:
        there = self._partitions.get(step.partition)
        if there is None or there is not self._opened.get(step.partition) or there.lost:
            return Outcome.CONFLICT
        if there.position == step.new:
            return Outcome.ALREADY
        if there.position != step.old:
            return Outcome.CONFLICT
        try:
            adds = packed(step.delta, self._measures)
            blocks = block_of_entries([{b"c": adds.cells, b"u": adds.users}], self._measures)
            self._check_sums([*(each for old in there.blocks.values() for each in old), *blocks.values()])
        except CellOverflowError as error:
            raise refused(error.where) from error
        there.position, there.floor = step.new, max(there.floor, step.floor)
        for epoch, block in blocks.items():
            if epoch >= there.floor:
                there.blocks.setdefault(epoch, []).append(block)
        return Outcome.APPLIED

    def _check_sums(self, blocks: Sequence[Block]) -> None:
        whole = Block.merged([block.totals() for block in blocks], self._measures)
        for epoch, counters in whole.counters.items():
            for name, number in counters.items():
                if number > LARGEST:
                    raise refused(f"the counter {name!r} of epoch {epoch}")

    async def check(self) -> str | None:
        """See `SpeedSink.check`."""
        for partition, opened in self._opened.items():
            there = self._partitions.get(partition)
            if there is not opened or getattr(self, "_begun", self._born) is not self._born:
                return f"the partition {partition} of the view was emptied, or opened again by another worker"
            if there.lost:
                return f"the store lost a part of the view: {there.lost} of {partition}"
        return None

    async def close(self) -> None:
        """Nothing to close."""

    def reader(self) -> MemoryReader:
        """A reader of this store."""
        return MemoryReader(self)

    def snapshot(self, since: int = 0) -> Snapshot:
        """The view as it is now, epochs below `since` left out."""
        floor = max([since, *(there.floor for there in self._partitions.values())])
        positions = {p: Position.decode(there.position) for p, there in self._partitions.items() if there.position}
        return self._parts(floor).snapshot(positions, floor)

    def _parts(self, floor: int) -> EpochParts:
        parts = EpochParts(self._measures)
        for partition, there in self._partitions.items():
            if there.lost:
                raise lost("memory", f"{there.lost} of {partition}")
            for epoch, blocks in there.blocks.items():
                if epoch >= floor:
                    for block in blocks:
                        parts.add(epoch, block)
        return parts

    def raise_floor(self, floor: int) -> None:
        """See `SpeedFloor.raise_floor`."""
        for there in self._partitions.values():
            there.floor = max(there.floor, floor)

    @property
    def rules(self) -> Rules | None:
        """What the view was begun under."""
        return self._rules


class MemoryReader:
    """Reads a `MemoryStore`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def read(self, since: int = 0, *, whole: bool = True) -> Snapshot:  # noqa: ARG002 - all is here at once
        """See `SpeedReader.read`."""
        return self._store.snapshot(since)

    def rules(self) -> Rules | None:
        """See `SpeedReader.rules`."""
        return self._store.rules

    def close(self) -> None:
        """Nothing to close."""
