"""The twin of the Redis store: the same behaviour in memory, for tests and small tools."""

from __future__ import annotations

from collections.abc import Iterable

from adapters.speed.binding import check_binding
from adapters.speed.port import Outcome, RefusedError, Snapshot, Step
from adapters.speed.redis_errors import lost
from adapters.speed.snapshots import SnapshotBuilder
from core.cells import Cells, merge
from core.position import PartitionKey, Position
from core.rules import Rules

#: Sums are integers of 64 bits, as in Redis.
_LARGEST = 2**63 - 1


class MemoryStore:
    """Both sides of one speed view. `flush` empties it as FLUSHALL would, `lose` loses a part of it."""

    def __init__(self) -> None:
        self.flush()

    def flush(self) -> None:
        """Loses everything."""
        self._positions: dict[PartitionKey, str] = {}
        self._cells: dict[tuple[int, int], Cells] = {}
        self._users: dict[tuple[int, int], set[str]] = {}
        self._quality: dict[int, dict[str, int]] = {}
        self._floor = 0
        self._rules: Rules | None = None
        self._identity = ""
        self._lost = ""
        #: how often the view was emptied, and how often when the sink began it
        self._incarnation = getattr(self, "_incarnation", 0) + 1

    def lose(self, part: str) -> None:
        """Loses a part: it is noticed, and the view begins again with the next `begin`."""
        self._lost = part

    async def begin(self, rules: Rules, identity: str) -> None:
        """See `SpeedSink.begin`."""
        known = self._rules
        if known is not None:
            check_binding("memory", (known.encode(), self._identity), (rules.encode(), identity))
        if self._lost:
            self.flush()
        if self._rules is None:
            self._rules, self._identity = rules, identity
        self._begun = self._incarnation
        check_binding("memory", (self._rules.encode(), self._identity), (rules.encode(), identity))

    async def positions(self, sources: Iterable[PartitionKey]) -> dict[PartitionKey, str | None]:
        """See `SpeedSink.positions`."""
        return {source: self._positions.get(source) for source in sources}

    async def all_positions(self) -> dict[PartitionKey, str]:
        """See `SpeedSink.all_positions`."""
        return dict(self._positions)

    async def apply(self, step: Step) -> Outcome:
        """See `SpeedSink.apply`."""
        if self._lost:
            return Outcome.CONFLICT
        found = [self._positions.get(move.source, "") for move in step.moves]
        if all(have == move.new for have, move in zip(found, step.moves, strict=True)):
            return Outcome.ALREADY
        if any(have != move.old for have, move in zip(found, step.moves, strict=True)):
            return Outcome.CONFLICT
        self._check_sums(step)
        self._positions.update({move.source: move.new for move in step.moves})
        self._floor = max(self._floor, step.floor)
        for (epoch, minute), events in step.delta.minutes.items():
            if epoch >= self._floor:
                old = self._cells.get((epoch, minute), {})
                self._cells[epoch, minute] = merge(old, events.cells)
                self._users.setdefault((epoch, minute), set()).update(events.users)
        for epoch, counters in step.delta.quality.items():
            if epoch >= self._floor:
                held = self._quality.setdefault(epoch, {})
                for name, number in counters.items():
                    held[name] = held.get(name, 0) + number
        return Outcome.APPLIED

    async def check(self) -> str | None:
        """See `SpeedSink.check`."""
        if self._lost:
            return f"the store lost a part of the view: {self._lost}"
        if getattr(self, "_begun", self._incarnation) != self._incarnation:
            return "the view was emptied, or begun again by another worker"
        return None

    def _check_sums(self, step: Step) -> None:
        for (epoch, minute), events in step.delta.minutes.items():
            if epoch >= max(self._floor, step.floor):
                for key, cell in merge(self._cells.get((epoch, minute), {}), events.cells).items():
                    if any(abs(number) > _LARGEST for number in cell):
                        raise RefusedError(f"the cell {key} would pass 64 bits")

    async def close(self) -> None:
        """Nothing to close."""

    def reader(self) -> MemoryReader:
        """A reader of this store."""
        return MemoryReader(self)

    def snapshot(self, since: int = 0) -> Snapshot:
        """The view as it is now, epochs below `since` left out."""
        if self._lost:
            raise lost("memory", self._lost)
        floor = max(self._floor, since)
        builder = SnapshotBuilder()
        for (epoch, minute), cells in self._cells.items():
            builder.set_cells(epoch, minute, cells)
        for epoch, counters in self._quality.items():
            builder.set_quality(epoch, counters)
        builder.drop_below(floor)
        positions = {s: Position.decode(text) for s, text in self._positions.items()}
        return builder.snapshot(positions, floor)

    def raise_floor(self, floor: int) -> None:
        """See `SpeedFloor.raise_floor`."""
        self._floor = max(self._floor, floor)

    def users(self, minutes: Iterable[int], since: int = 0) -> set[str]:
        """The users of these minutes in epochs at and above `since`."""
        wanted = set(minutes)
        floor = max(self._floor, since)
        return set().union(*(u for (e, m), u in self._users.items() if m in wanted and e >= floor))

    @property
    def rules(self) -> Rules | None:
        """What the view was begun under."""
        return self._rules


class MemoryReader:
    """Reads a `MemoryStore`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._since = 0

    def read(self, since: int = 0) -> Snapshot:
        """See `SpeedReader.read`."""
        self._since = since
        return self._store.snapshot(since)

    def distinct_users(self, minutes: Iterable[int]) -> int:
        """See `SpeedReader.distinct_users`. Exact here."""
        return len(self._store.users(minutes, self._since))

    def users_sketch(self, minutes: Iterable[int], more: Iterable[str] = ()) -> int:
        """See `SpeedReader.users_sketch`. Exact here."""
        return len(self._store.users(minutes, self._since) | set(more))

    def rules(self) -> Rules | None:
        """See `SpeedReader.rules`."""
        return self._store.rules

    def close(self) -> None:
        """Nothing to close."""
