"""A Redis that loses keys, is the wrong one, or becomes it: noticed in seconds, said in a line, never a wrong number."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from adapters.kafka.topics import log_identity
from adapters.speed.keys import ViewKeys
from adapters.speed.port import Outcome, Step
from adapters.speed.redis_sink import RedisSink
from core.position import PartitionKey, Position
from modes.pipelines import pipeline_of
from modes.settings import Settings
from modes.supervisor import Child, Supervisor
from modes.wiring.kafka import topics
from tests.support.events import delta_of
from tests.support.product import assert_exact, caught_up, produce, run, snapshot, worker
from tests.support.redis_servers import MovingAddress, own_redis
from tests.support.waiting import until

pytestmark = pytest.mark.integration

#: What a command or a worker has until it ends with exit code 2. It takes seconds; machines may be busy.
ENDS_S = 60.0


@pytest.fixture
def client(settings: Settings) -> Iterator[Redis]:
    with Redis.from_url(settings.redis, decode_responses=True) as client:
        yield client


def ended(supervisor: Supervisor) -> str:
    """The last words of the worker, which cannot go on."""

    def failed() -> Child | None:
        supervisor.tick()
        return next((child for child in supervisor.children if child.state == "failed"), None)

    return until(failed, within_s=ENDS_S, what="the worker to end with exit code 2").last_words()


def test_a_view_that_loses_any_of_its_keys_is_counted_again(settings: Settings, client: Redis) -> None:
    keys = ViewKeys(settings.speed_view)
    produce(settings, 1, 300)
    with worker(settings) as supervisor:
        caught_up(settings)
        whole = assert_exact(settings)
        partition = next(p for p in map(PartitionKey.parse, ("clicks:0", "clicks:1")) if client.exists(keys.of(p).log))
        own = keys.of(partition)
        for lost in [[own.state], [own.log], [keys.view], [*own], list(client.scan_iter(f"{{{keys.namespace}*"))]:
            # nothing arrives meanwhile that would show it
            opened = client.hget(own.state, "opened")
            client.delete(*lost)

            def back(lost: list[str] = lost, opened: str | None = opened) -> bool:
                if not client.exists(keys.view):
                    return False
                return lost == [keys.view] or client.hget(own.state, "opened") not in (opened, None)

            until(back, within_s=ENDS_S, what=f"the view to go on without {lost}")
            caught_up(settings)
            assert assert_exact(settings).compared_cells == whole.compared_cells, lost
        assert snapshot(settings) is not None
        supervisor.tick()
        assert supervisor.children[0].restarts == 0


def test_a_policy_that_somebody_changes_while_it_runs_ends_the_worker(settings: Settings, client: Redis) -> None:
    with worker(settings) as supervisor:
        produce(settings, 1, 100)
        caught_up(settings)
        client.config_set("maxmemory", 10**10)
        client.config_set("maxmemory-policy", "allkeys-lfu")
        try:
            said = ended(supervisor)
            for command in (["counts"], ["verify"], ["process"], ["serve"], ["up", "--duration", "5s", "--plain"]):
                done = run(settings, *command, timeout_s=ENDS_S)
                assert done.returncode == 2, (command, done.stdout, done.stderr)
                lines = [line for line in done.stderr.splitlines() if "maxmemory-policy" in line]
                assert len(lines) == 1, done.stderr
                assert "noeviction" in lines[0]
                assert "Traceback" not in done.stderr
        finally:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", 0)
    assert "maxmemory-policy allkeys-lfu" in said
    assert_exact(settings)


def test_a_counter_that_overflows_ends_the_worker_by_name(settings: Settings) -> None:
    # all records are of one epoch
    settings = settings.model_copy(update={"epoch_seconds": 86_400.0})
    produce(settings, 1, 100)
    keys = ViewKeys(settings.speed_view)
    partition = PartitionKey("clicks", 0)
    epoch = settings.rules.epoch_of(int(time.time() * 1000))

    async def as_large_as_may_be() -> None:
        async with AsyncRedis.from_url(settings.redis) as connection:
            sink = RedisSink(connection, settings.speed_view, pipeline_of(settings))
            await sink.begin(settings.rules, log_identity(topics(settings).states()))
            await sink.positions([partition])
            full = delta_of(quality={epoch: {"accepted": 2**63 - 1}})
            step = Step(partition, "", Position(next=1, epoch=epoch, accepted=1).encode(), full)
            assert await sink.apply([step]) == {partition: Outcome.APPLIED}

    asyncio.run(as_large_as_may_be())
    raw = Redis.from_url(settings.redis)
    before = raw.hget(keys.of(partition).state, "position"), raw.xrange(keys.of(partition).log)
    with worker(settings) as supervisor:
        said = ended(supervisor)
    # a step that was refused has left nothing
    assert (raw.hget(keys.of(partition).state, "position"), raw.xrange(keys.of(partition).log)) == before
    raw.close()
    assert "the counter 'accepted'" in said


@contextmanager
def failing_over(home: Path) -> Iterator[tuple[MovingAddress, int, int]]:
    """A master, its replica, and an address that leads to the first."""
    with own_redis(home / "a") as one, own_redis(home / "b", "--replicaof", "127.0.0.1", str(one)) as two:
        with Redis(port=two) as replica:
            linked = lambda: replica.info("replication")["master_link_status"] == "up"  # noqa: E731
            until(linked, within_s=20, what="the replica's link")
        with MovingAddress(one) as address:
            yield address, one, two


def test_after_a_failover_the_new_master_is_found(settings: Settings, tmp_path: Path) -> None:
    with failing_over(tmp_path) as (address, one, two):
        moved = settings.model_copy(update={"redis": f"redis://127.0.0.1:{address.port}/0"})
        with worker(moved) as supervisor:
            produce(moved, 1, 200)
            caught_up(moved)
            with Redis(port=two) as new, Redis(port=one) as old:
                old.wait(1, 5000)
                new.execute_command("REPLICAOF", "NO", "ONE")
                old.replicaof("127.0.0.1", two)
                # connections that are open lead to the old one still
                address.target = two
                produce(moved, 1, 200)
                caught_up(moved)
            supervisor.tick()
            assert supervisor.children[0].restarts == 0
        assert_exact(moved)
        assert "replica" in (moved.data_dir / "logs" / "process.log").read_text()


@pytest.mark.parametrize("wrong", ["password", "replica", "database", "not-redis"])
def test_a_redis_that_is_wrong_for_good_ends_a_worker_with_one_line(
    settings: Settings, tmp_path: Path, wrong: str
) -> None:
    with own_redis(tmp_path / "r", "--requirepass", "right") as port:
        address = {
            "password": f"redis://:guess@127.0.0.1:{port}/0",
            "replica": f"redis://:right@127.0.0.1:{port}/0",
            "database": f"redis://:right@127.0.0.1:{port}/99",
            "not-redis": f"rediss://127.0.0.1:{port}/0",
        }[wrong]
        if wrong == "replica":
            with Redis(port=port, password="right") as client:
                client.replicaof("127.0.0.1", 1)
        done = run(settings.model_copy(update={"redis": address}), "process", timeout_s=ENDS_S)
    assert done.returncode == 2, done.stderr
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("fourfold: ")]
    assert {"password": "password", "replica": "replica", "database": "database", "not-redis": "redis://"}[
        wrong
    ] in said
    assert "guess" not in done.stderr
    assert "Traceback" not in done.stderr
