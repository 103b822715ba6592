"""The worker's watch must not end the worker where Kafka is away."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from adapters.kafka.topics import TopicState
from core.errors import UnavailableError
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
