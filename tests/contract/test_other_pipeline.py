"""A view of another pipeline: the twin in memory and a real Redis hold the same, and never what another one holds."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from adapters.speed.memory import MemoryStore
from adapters.speed.port import Outcome, SpeedSink, Step
from adapters.speed.redis_reader import RedisReader
from adapters.speed.redis_sink import RedisSink
from core.declaration.pipeline import Pipeline
from core.delta import Delta
from core.errors import ConfigurationError
from core.partition import PartitionFold
from core.position import Position
from core.rules import Rules
from tests.support.shop import SHOP
from tests.support.speed_stores import users_of
from tests.support.trips import CHECKS_0, TRIPS, TRIPS_0, TRIPS_KERNEL, rides

RULES = Rules()
RIDES = rides(400, seed=2)


class _Stamped:
    def __init__(self, row: Any) -> None:
        self.offset, self.timestamp, self.key, self.value = row.offset, row.append_ms, row.key, row.value


async def count(sink: SpeedSink) -> None:
    await sink.begin(RULES, "log-1")
    for source in (TRIPS_0, CHECKS_0):
        part = PartitionFold(source, Position(), RULES, TRIPS_KERNEL[source.topic])
        records = [_Stamped(row) for row in RIDES.log if row.source == source]
        delta = Delta()
        part.fold(records, records[-1].offset + 1, delta)
        await sink.positions([source])
        assert await sink.apply([Step(source, "", part.position.encode(), delta)]) == {source: Outcome.APPLIED}
    await sink.close()


def begin(address: str, namespace: str, pipeline: Pipeline) -> None:
    async def begun() -> None:
        sink = RedisSink(AsyncRedis.from_url(address), namespace, pipeline)
        try:
            await sink.begin(RULES, "log-1")
        finally:
            await sink.close()

    asyncio.run(begun())


def test_the_twin_holds_what_is_declared() -> None:
    store = MemoryStore(TRIPS)
    asyncio.run(count(store))
    assert {key: cell for key, cell in store.snapshot().merged().items() if any(cell)} == RIDES.cells


@pytest.mark.integration
def test_redis_holds_what_is_declared(request: pytest.FixtureRequest) -> None:
    address, namespace = request.getfixturevalue("servers").redis, f"t{uuid.uuid4().hex[:12]}"
    asyncio.run(count(RedisSink(AsyncRedis.from_url(address), namespace, TRIPS)))
    reader = RedisReader(Redis.from_url(address), namespace, TRIPS)
    snapshot = reader.read()
    assert {key: cell for key, cell in snapshot.merged().items() if any(cell)} == RIDES.cells
    minutes = {minute for minute, _ in RIDES.bikes}
    assert users_of(reader, minutes) == len({bike for _, bike in RIDES.bikes})
    reader.close()


@pytest.mark.integration
def test_a_view_of_another_meaning_is_refused(request: pytest.FixtureRequest) -> None:
    address, namespace = request.getfixturevalue("servers").redis, f"t{uuid.uuid4().hex[:12]}"
    begin(address, namespace, TRIPS)
    with pytest.raises(ConfigurationError, match=r"another declaration .* FOURFOLD_NAMESPACE"):
        begin(address, namespace, SHOP)
    reader = RedisReader(Redis.from_url(address), namespace, SHOP)
    with pytest.raises(ConfigurationError, match="another declaration"):
        reader.read()
    reader.close()
    begin(address, namespace, TRIPS)
