"""The worker's watch: a Kafka that is away does not end the worker, a store that lost something is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from adapters.kafka.topics import TopicState, log_identity
from adapters.speed.memory import MemoryStore
from core.errors import ConfigurationError, UnavailableError
from core.rules import Rules
from processors import worker as module
from processors.book import Book
from processors.watchdog import LIMIT_S, Watchdog
from processors.worker import MISSED, FaustWorker
from tests.support.events import CLICKS_0
from tests.support.shop import KERNEL, SHOP


class AwayTopics:
    """Topics of a Kafka that does not answer."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def states(self) -> Mapping[str, TopicState]:
        raise self.error


@pytest.mark.parametrize("error", [UnavailableError("away"), TimeoutError(), RuntimeError("client closed")])
def test_a_kafka_that_is_away_does_not_end_the_worker(error: Exception) -> None:
    worker = FaustWorker.__new__(FaustWorker)
    worker._topics = AwayTopics(error)  # type: ignore[assignment]
    states = asyncio.run(worker._states())
    worker._check_topics(states)
    assert states is None


class Watched:
    """A worker with a store and nothing else: what its watch does to the application is noted."""

    def __init__(self, store: MemoryStore) -> None:
        self.rejected = 0
        self.failure: Exception | None = None
        worker = FaustWorker.__new__(FaustWorker)
        worker._sink = store
        worker._counted = SHOP.topics
        worker.book = Book(store, Rules(), KERNEL, "log-1")
        worker.book.generation = 1
        worker.app = self  # type: ignore[assignment]
        worker.processor = self  # type: ignore[assignment]
        self.work = self
        self.waiting = False
        self.batch_consumer = self
        self._worker = worker

    def reject(self) -> None:
        self.rejected += 1

    def fail(self, error: Exception) -> None:
        self.failure = error

    def look(self) -> Watched:
        asyncio.run(self._worker._check_store())
        return self


@pytest.mark.parametrize("happens", ["lose", "flush"])
def test_a_store_that_lost_something_has_positions_restored_though_nothing_arrives(happens: str) -> None:
    store = MemoryStore(SHOP)
    asyncio.run(store.begin(Rules(), "log-1"))
    asyncio.run(store.positions([CLICKS_0]))
    watched = Watched(store)
    assert watched.look().rejected == 0
    if happens == "lose":
        store.lose(CLICKS_0, "log")
    else:
        store.flush()
    assert watched.look().rejected == 1
    asyncio.run(store.begin(Rules(), "log-1"))
    asyncio.run(store.positions([CLICKS_0]))
    assert watched.look().rejected == 1


@pytest.mark.parametrize(
    ("error", "ends"), [(ConfigurationError("it evicts"), True), (UnavailableError("away"), False)]
)
def test_a_store_that_is_wrong_ends_the_worker_and_one_that_is_away_does_not(error: Exception, ends: bool) -> None:
    class Broken(MemoryStore):
        async def check(self) -> str | None:
            raise error

    watched = Watched(Broken(SHOP)).look()
    assert watched.failure is (error if ends else None)
    assert watched.rejected == 0


BOTH = {name: TopicState(name, 1, name) for name in ("clicks", "sales")}


class Cluster:
    """A Kafka as three clients see it: the administration's, the worker's own, and a plain one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.topics: Mapping[str, TopicState] | None = BOTH
        self.own_hears = self.others_hear = True
        self.wrong: Exception | None = None
        self.doubts: list[str] = []
        self.failure: BaseException | None = None
        self.code: int | None = None
        self.now = 0.0
        self.thread = SimpleNamespace(ends=None, coordinator_known=True)
        self.batch_consumer = self
        worker = self.worker = FaustWorker.__new__(FaustWorker)
        worker.looks, worker._missed, worker._checked_at, worker._doubts = 0, 0, float("-inf"), []
        worker._settings = SimpleNamespace(retention_ms=-1)  # type: ignore[assignment]
        store = MemoryStore(SHOP)
        asyncio.run(store.begin(Rules(), log_identity(BOTH)))
        worker._sink = store
        worker._counted = SHOP.topics
        worker.book = Book(store, Rules(), KERNEL, log_identity(BOTH))
        worker._topics = worker._continuity = worker.app = self  # type: ignore[assignment]
        worker._watchdog = Watchdog(lambda: self.now)
        worker._membership = SimpleNamespace(looked=lambda **_: None, trouble="")  # type: ignore[assignment]
        worker.processor = SimpleNamespace(work=SimpleNamespace(waiting=False))  # type: ignore[assignment]
        monkeypatch.setattr(module.os, "_exit", self._exit)

    def states(self) -> Mapping[str, TopicState]:
        if self.topics is None:
            raise UnavailableError("away")
        return self.topics

    def answers(self, _sources: Collection[object]) -> bool:
        return self.others_hear

    def check(self, _marks: object) -> None: ...

    def check_settings(self) -> None:
        if self.wrong is not None:
            raise self.wrong

    def short_lived(self, _retention_ms: int) -> list[str]:
        return self.doubts

    def sources(self) -> list[object]:
        return []

    async def call(self, _method: object, sources: list[Any]) -> Mapping[Any, int]:
        if not self.own_hears:
            raise TimeoutError
        return dict.fromkeys(sources, 0)

    def fail(self, error: BaseException) -> None:
        self.failure = error

    def _exit(self, code: int) -> None:
        self.code = code

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.now += 2
            asyncio.run(self.worker._watch())

    @property
    def ended(self) -> bool:
        return self.failure is not None or self.code is not None


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return Cluster(monkeypatch)


def test_a_client_that_hears_nothing_of_a_kafka_that_answers_others_ends_the_worker(cluster: Cluster) -> None:
    cluster.own_hears = False
    cluster.look(int(LIMIT_S / 2))
    assert cluster.code is None
    cluster.look(2)
    assert cluster.code == 75


@pytest.mark.parametrize("away", ["topics", "partitions"])
def test_a_kafka_that_answers_nobody_is_waited_for(cluster: Cluster, away: str) -> None:
    cluster.own_hears = cluster.others_hear = False
    if away == "topics":
        cluster.topics = None
    cluster.look(100)
    assert not cluster.ended
    # and what was heard in between counts
    cluster.topics, cluster.others_hear = BOTH, True
    cluster.look(8)
    cluster.own_hears = True
    cluster.look()
    cluster.own_hears = False
    cluster.look(8)
    assert not cluster.ended


@pytest.mark.parametrize("left", [[], ["sales"]], ids=["both", "one"])
def test_topics_that_are_gone_end_the_worker_by_name(cluster: Cluster, left: list[str]) -> None:
    cluster.topics = {name: BOTH[name] for name in left}
    # aiokafka knows no partitions of it
    cluster.own_hears = cluster.others_hear = False
    cluster.look(MISSED - 1)
    assert not cluster.ended
    cluster.topics = BOTH
    cluster.look()
    cluster.topics = {name: BOTH[name] for name in left}
    cluster.look(MISSED)
    assert isinstance(cluster.failure, ConfigurationError)
    assert "the topic clicks is gone" in str(cluster.failure)


def test_topics_that_were_made_anew_end_the_worker(cluster: Cluster) -> None:
    cluster.topics = BOTH | {"clicks": TopicState("clicks", 1, "another")}
    cluster.look()
    assert "made anew" in str(cluster.failure)


def test_a_setting_of_a_topic_that_somebody_spoils_ends_the_worker(cluster: Cluster) -> None:
    cluster.look()
    assert not cluster.ended
    cluster.worker._checked_at = float("-inf")
    cluster.wrong = ConfigurationError("topic clicks has cleanup.policy=compact")
    cluster.look()
    assert cluster.failure is cluster.wrong


def test_a_log_that_is_kept_too_short_is_said_once(cluster: Cluster) -> None:
    cluster.doubts = ["topic clicks has retention.ms=1000, it should be -1 (for good)"]
    with capture_logs() as logs:
        for _ in range(3):
            cluster.worker._checked_at = float("-inf")
            cluster.look()
    assert [entry["doubt"][:40] for entry in logs if entry["log_level"] == "warning"] == [cluster.doubts[0][:40]]
    assert not cluster.ended
