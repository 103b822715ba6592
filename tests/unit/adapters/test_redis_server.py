"""What a Redis must be: judged from what INFO says."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from adapters.speed.redis_server import LOOK_EVERY_S, Health, ServerWatch, health_of
from core.errors import ConfigurationError

GOOD: dict[str, Any] = {
    "redis_version": "7.2.4",
    "redis_mode": "standalone",
    "cluster_enabled": 0,
    "role": "master",
    "maxmemory": 1_000,
    "maxmemory_policy": "noeviction",
    "used_memory": 100,
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "rdb_last_bgsave_status": "ok",
}


def test_a_redis_as_it_should_be_has_nothing_to_say() -> None:
    assert health_of(GOOD) == Health()


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"maxmemory_policy": "allkeys-lru"}, "CONFIG SET maxmemory-policy noeviction"),
        ({"maxmemory_policy": "allkeys-lfu"}, "allkeys-lfu"),
        ({"maxmemory_policy": "allkeys-random"}, "allkeys-random"),
        ({"maxmemory_policy": "allkeys-lrm"}, "allkeys-lrm"),
        ({"cluster_enabled": 1}, "Cluster"),
        ({"redis_mode": "cluster"}, "Cluster"),
        ({"redis_mode": "sentinel"}, "Sentinel"),
        ({"redis_version": "4.0.14"}, "6.2 or newer"),
        ({"redis_version": "6.0.16"}, "6.2 or newer"),
    ],
)
def test_what_is_wrong_for_good(told: dict[str, Any], says: str) -> None:
    assert says in health_of(GOOD | told).wrong


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"used_memory": 950}, "95% full"),
        ({"used_memory": 1_001}, "is full"),
        ({"role": "slave"}, "replica"),
        ({"aof_last_write_status": "err"}, "disk"),
        ({"rdb_last_bgsave_status": "err"}, "disk"),
    ],
)
def test_what_whoever_reads_counts_must_know(told: dict[str, Any], says: str) -> None:
    health = health_of(GOOD | told)
    assert not health.wrong
    assert says in " ".join(health.states)
    assert health.replica == ("role" in told)


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"aof_enabled": 0}, "appendonly yes"),
        ({"maxmemory_policy": "volatile-lru"}, "volatile-lru"),
        ({"maxmemory_policy": "allkeys-lru", "maxmemory": 0}, "would evict"),
    ],
)
def test_what_would_be_better_otherwise(told: dict[str, Any], says: str) -> None:
    health = health_of(GOOD | told)
    assert (health.wrong, health.states) == ("", ())
    assert says in " ".join(health.advice)


@pytest.mark.parametrize(
    "told", [{}, {"role": "master"}, {"redis_version": "odd"}, {"maxmemory": "much"}, {"redis_version": 7.0}]
)
def test_what_is_not_said_is_taken_for_right(told: dict[str, Any]) -> None:
    health = health_of(told)
    assert (health.wrong, health.replica, health.states) == ("", False, ())


def test_a_watch_says_each_thing_once_and_looks_now_and_then() -> None:
    now = 0.0
    watch = ServerWatch(lambda: now, speaks=True)
    assert watch.due
    with capture_logs() as logs:
        for _ in range(3):
            watch.take(GOOD | {"aof_enabled": 0})
    assert len(logs) == 1
    assert not watch.due
    now = LOOK_EVERY_S
    assert watch.due


def test_what_is_wrong_is_raised_and_looked_at_again_at_once() -> None:
    watch = ServerWatch(lambda: 0.0)
    with pytest.raises(ConfigurationError, match="noeviction"):
        watch.take(GOOD | {"maxmemory_policy": "allkeys-lru"})
    assert watch.due
    assert watch.take(GOOD) == Health()
