"""Stores of speed views for contract tests: the twin in memory, and a view of its own in a real Redis."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, NamedTuple

from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from adapters.speed.keys import ViewKeys
from adapters.speed.memory import MemoryStore
from adapters.speed.port import Outcome, Snapshot, SpeedFloor, SpeedReader, SpeedSink, Step
from adapters.speed.redis_floor import RedisFloor
from adapters.speed.redis_reader import RedisReader
from adapters.speed.redis_sink import RedisSink
from core.position import PartitionKey
from core.rollup import Rollup
from core.rules import Rules
from core.sketch import Sketch, union_count
from tests.support.events import CLICKS_0, at, delta_of
from tests.support.shop import SHOP

LOG = "log-1"


class Move(NamedTuple):
    """Where a step brings a partition."""

    partition: PartitionKey
    old: str
    new: str


def first(partition: PartitionKey = CLICKS_0, offset: int = 1) -> Move:
    """The first step of a partition."""
    return Move(partition, "", at(offset))


def users_of(reader: SpeedReader, minutes: Iterable[int], more: Iterable[str] = ()) -> int:
    """Distinct users of minutes, and of `more`, as a reader has them now."""
    users = reader.read().users
    return union_count([*(sketch for m in minutes for sketch in users.between(m, m + 1)), Sketch.of(more)])


class Store:
    """A sink and any number of readers of one view. Calls of the sink run in one event loop."""

    def __init__(
        self,
        sink: SpeedSink,
        reader: Callable[[], SpeedReader],
        flush: Callable[[], Any],
        floor: SpeedFloor,
        lose: Callable[[PartitionKey, str], Any],
    ) -> None:
        self.sink = sink
        self.lose = lose
        self.reader = reader
        self.floor = floor
        self._flush = flush
        self._opened: set[PartitionKey] = set()
        self._runner = asyncio.Runner()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)

    def flush(self) -> None:
        """Loses everything, and the worker restores with its next step."""
        self._flush()
        self._opened.clear()

    def open(self, *partitions: PartitionKey) -> dict[PartitionKey, str | None]:
        """As a worker restores them."""
        self.run(self.sink.begin(Rules(), LOG))
        self._opened = set(partitions)
        found: dict[PartitionKey, str | None] = self.run(self.sink.positions(partitions))
        return found

    def apply(self, move: Move, *others: Move, floor: int = 0, **delta: Any) -> Outcome:
        """One step, with what it adds; `others` add nothing. The outcome of the first."""
        unknown = {each.partition for each in (move, *others)} - self._opened
        if unknown:
            self.open(*unknown, *self._opened)
        steps = [Step(*move, delta_of(**delta), floor), *(Step(*other, delta_of(), floor) for other in others)]
        outcomes: dict[PartitionKey, Outcome] = self.run(self.sink.apply(steps))
        return outcomes[move.partition]

    def settle(self) -> None:
        """What a sink does in its own time is done when this returns."""
        if isinstance(self.sink, RedisSink):
            self.run(self.sink.settle())

    def read(self) -> Snapshot:
        """As a reader sees it that knows nothing yet."""
        reader = self.reader()
        try:
            return reader.read()
        finally:
            reader.close()

    def close(self) -> None:
        self.run(self.sink.close())
        self._runner.close()


class RedisStore(Store):
    """In a real Redis; `keys` and `admin` are for tests that lay hands on it."""

    sink: RedisSink

    def __init__(self, address: str, *, rollup: Rollup | None = None) -> None:
        self.rollup = rollup
        self.namespace = f"t{uuid.uuid4().hex[:12]}"
        self.address = address
        self.admin = Redis.from_url(address)
        self.keys = ViewKeys(self.namespace)
        sink = RedisSink(AsyncRedis.from_url(address), self.namespace, SHOP, rollup=rollup)
        super().__init__(sink, self._reader, self.admin.flushall, RedisFloor(self.admin, self.namespace), self._lose)

    def key(self, part: str, partition: PartitionKey = CLICKS_0) -> str:
        """The key of a part: `view`, or `state`, `log`, `totals`, `blocks` of a partition."""
        return str(getattr(self.keys if part in ("view", "counts") else self.keys.of(partition), part))

    def all_keys(self) -> set[str]:
        """Those of the view that there are."""
        return {key.decode() for pattern in self.keys.patterns() for key in self.admin.scan_iter(pattern, count=1000)}

    def close(self) -> None:
        super().close()
        self.admin.close()

    def _reader(self) -> RedisReader:
        return RedisReader(Redis.from_url(self.address), self.namespace, SHOP, rollup=self.rollup)

    def _lose(self, partition: PartitionKey, part: str) -> None:
        assert self.admin.delete(self.key(part, partition)) == 1


def in_memory() -> Store:
    """The twin."""
    store = MemoryStore(SHOP)
    return Store(store, store.reader, store.flush, store, store.lose)


async def applied(sink: SpeedSink, *steps: Step) -> Outcome:
    """What becomes of steps of partitions that are opened for it, as long as all are alike."""
    await sink.begin(Rules(), LOG)
    await sink.positions([step.partition for step in steps])
    (outcome,) = set((await sink.apply(steps)).values())
    return outcome


def apply(store: MemoryStore, *steps: Step) -> Outcome:
    """Applies steps to a twin, whatever rules it was begun under."""

    async def opened() -> Outcome:
        await store.positions([step.partition for step in steps])
        (outcome,) = set((await store.apply(steps)).values())
        return outcome

    return asyncio.run(opened())
