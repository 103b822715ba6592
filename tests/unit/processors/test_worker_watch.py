"""The worker's watch: a Kafka that is away does not end the worker, a store that lost something is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from adapters.kafka.topics import TopicState
from adapters.speed.memory import MemoryStore
from core.errors import ConfigurationError, UnavailableError
from core.rules import Rules
from processors.book import Book
from processors.worker import FaustWorker


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
    assert not states


class Watched:
    """A worker with a store and nothing else: what its watch does to the application is noted."""

    def __init__(self, store: MemoryStore) -> None:
        self.rejected = 0
        self.failure: Exception | None = None
        worker = FaustWorker.__new__(FaustWorker)
        worker._sink = store
        worker.book = Book(store, Rules(), "log-1")
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
    store = MemoryStore()
    asyncio.run(store.begin(Rules(), "log-1"))
    watched = Watched(store)
    assert watched.look().rejected == 0
    if happens == "lose":
        store.lose("positions")
    else:
        store.flush()
    assert watched.look().rejected == 1
    asyncio.run(store.begin(Rules(), "log-1"))
    assert watched.look().rejected == 1


@pytest.mark.parametrize(
    ("error", "ends"), [(ConfigurationError("it evicts"), True), (UnavailableError("away"), False)]
)
def test_a_store_that_is_wrong_ends_the_worker_and_one_that_is_away_does_not(error: Exception, ends: bool) -> None:
    class Broken(MemoryStore):
        async def check(self) -> str | None:
            raise error

    watched = Watched(Broken()).look()
    assert watched.failure is (error if ends else None)
    assert watched.rejected == 0
