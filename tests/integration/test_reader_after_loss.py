"""A reader of the speed view where the store lost the view and began it again."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from adapters.speed.port import Outcome, Step
from adapters.speed.redis_reader import RedisReader
from adapters.speed.redis_sink import RedisSink
from core.position import PartitionKey, Position
from tests.support.events import delta_of
from tests.support.servers import Servers
from tests.support.shop import SHOP, cell_of
from tests.support.speed_stores import applied

pytestmark = [pytest.mark.integration, pytest.mark.versions]

SOURCE = PartitionKey("clicks", 0)


def step(minute: int, old: str, position: Position) -> Step:
    delta = delta_of({(minute, minute): {("all", ""): cell_of(1)}}, users={(minute, minute): ["u"]})
    delta.count(minute, "accepted")
    return Step(SOURCE, old, position.encode(), delta)


def apply(servers: Servers, namespace: str, wanted: Step) -> None:
    async def once() -> Outcome:
        sink = RedisSink(AsyncRedis.from_url(servers.redis), namespace, SHOP)
        try:
            return await applied(sink, wanted)
        finally:
            await sink.close()

    assert asyncio.run(once()) is Outcome.APPLIED


def test_a_view_that_was_emptied_and_begun_again_is_read_anew(servers: Servers, redis_client: Redis) -> None:
    namespace = f"t{uuid.uuid4().hex[:8]}"
    reader = RedisReader(redis_client, namespace, SHOP)
    apply(servers, namespace, step(1, "", Position(next=1)))
    assert {key.minute for key in reader.read().merged()} == {1}
    # no read between the loss and the first step after it: the change numbers have gone on
    redis_client.delete(*redis_client.scan_iter(f"{{{namespace}*"))
    apply(servers, namespace, step(2, "", Position(next=1)))
    snapshot = reader.read()
    assert {key.minute for key in snapshot.merged()} == {2}
    assert snapshot.totals["all", ""] == cell_of(clicks=1)
    assert set(snapshot.totals.values()) == {cell_of(clicks=1)}
    assert snapshot.counters == {"accepted": 1}
