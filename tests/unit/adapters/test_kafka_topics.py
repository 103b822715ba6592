"""Topics: what is said where Kafka gives no answer."""

from __future__ import annotations

from concurrent.futures import Future

import pytest
from confluent_kafka.admin import AdminClient

from adapters.kafka import topics as module
from adapters.kafka.access import KafkaAccess
from adapters.kafka.topics import Topics
from core.errors import UnavailableError


def test_an_answer_that_never_comes_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_LIMIT_S", 0.01)

    class Silent(AdminClient):
        def describe_topics(self, *_: object, **__: object) -> dict[str, Future[object]]:
            return {"clicks": Future()}

    topics = Topics(KafkaAccess("127.0.0.1:1"))
    topics._admin = Silent({"bootstrap.servers": "127.0.0.1:1", "log_level": 0})
    with pytest.raises(UnavailableError, match="Kafka has not answered"):
        topics.states()
