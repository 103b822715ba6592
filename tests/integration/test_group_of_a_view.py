"""Each view is counted in a consumer group of its own, wherever it is and whatever the group's setting says."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from adapters.speed.redis_group import GroupedSink, RedisGroup, RegroupedError
from core.errors import UnavailableError
from core.rules import Rules
from modes.settings import Settings
from modes.wiring.speed import consumer_group, group_token
from tests.support.product import assert_exact, caught_up, produce, worker
from tests.support.servers import free_port
from tests.support.shop import SHOP

pytestmark = pytest.mark.integration


@pytest.fixture
def client(servers) -> Iterator[Redis]:
    with Redis.from_url(servers.redis) as client:
        yield client


@pytest.fixture
def view() -> str:
    return f"t{uuid.uuid4().hex[:8]}"


def begin(servers, view: str, token: str) -> None:
    async def work() -> None:
        async with AsyncRedis.from_url(servers.redis) as connection:
            await GroupedSink(connection, view, SHOP, token).begin(Rules(), "log")

    asyncio.run(work())


def elsewhere(address: str) -> str:
    """Another database of the same Redis."""
    return f"{address.rsplit('/', 1)[0]}/7"


@pytest.mark.timeout(180)
def test_views_of_one_log_count_all_of_it_each_under_one_setting_of_the_group(settings: Settings) -> None:
    """Another namespace, another mode, and the same name in another database: each shared the log with the first."""
    same = settings.model_copy(update={"group": "all-the-same"})
    views = [
        same,
        same.model_copy(update={"namespace": f"{same.namespace}b"}),
        same.model_copy(update={"mode": "lambda", "lake": str(same.data_dir / "lake")}),
        same.model_copy(update={"redis": elsewhere(same.redis)}),
    ]
    with ExitStack() as stack:
        for number, each in enumerate(views):
            stack.enter_context(worker(each, f"process-{number}"))
        produce(settings, 3, 300)
        for each in views:
            caught_up(each)
            assert assert_exact(each).compared_cells > 50
    groups = {consumer_group(each, group_token(each)) for each in views}
    assert len(groups) == len(views)
    assert all(group.startswith("all-the-same.") for group in groups)
    with Redis.from_url(elsewhere(settings.redis)) as other:
        other.flushdb()


def test_a_view_draws_its_lot_once_and_another_one_another(client: Redis, view: str) -> None:
    token = RedisGroup(client, view).token()
    assert len(token) == 8
    assert RedisGroup(client, view).token() == token
    assert RedisGroup(client, f"{view}.v2").token() != token


def test_a_lot_that_redis_has_lost_is_written_back_by_whoever_counts(servers, client: Redis, view: str) -> None:
    token = RedisGroup(client, view).token()
    client.delete(f"group:{{{view}}}")
    begin(servers, view, token)
    assert RedisGroup(client, view).token() == token


def test_whoever_counts_in_a_group_that_is_not_the_views_any_more_starts_again(
    servers, client: Redis, view: str
) -> None:
    token = RedisGroup(client, view).token()
    client.delete(f"group:{{{view}}}")
    other = RedisGroup(client, view).token()
    with pytest.raises(RegroupedError, match="another consumer group") as caught:
        begin(servers, view, token)
    # not for good: the supervisor starts it again
    assert caught.value.exit_code == 1
    begin(servers, view, other)


def test_a_redis_that_is_away_is_waited_for() -> None:
    with (
        Redis.from_url(f"redis://127.0.0.1:{free_port()}/0") as away,
        pytest.raises(UnavailableError, match="Redis does not answer"),
    ):
        RedisGroup(away, "view").token()
