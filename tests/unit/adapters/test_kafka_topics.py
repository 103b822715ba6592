"""Topics: what is said where Kafka gives no answer."""

from __future__ import annotations

import re
from concurrent.futures import Future
from types import SimpleNamespace

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


@pytest.mark.parametrize(
    ("kept", "wanted_ms", "said"),
    [
        ({}, -1, ""),
        ({"retention.ms": "3600000"}, 3_600_000, ""),
        ({"retention.ms": "60000"}, 3_600_000, "retention.ms=60000, it should be 3600000 or more"),
        ({"retention.ms": "60000"}, -1, r"retention.ms=60000, it should be -1 \(for good\)"),
        ({"retention.bytes": "1000"}, 1, "retention.bytes=1000, it should be -1"),
    ],
)
def test_a_log_that_is_kept_too_short_is_named(
    monkeypatch: pytest.MonkeyPatch, kept: dict[str, str], wanted_ms: int, said: str
) -> None:
    settings = {
        name: SimpleNamespace(value=value)
        for name, value in ({"retention.ms": "-1", "retention.bytes": "-1"} | kept).items()
    }
    topics = Topics(KafkaAccess("127.0.0.1:1"))
    monkeypatch.setattr(topics, "_configs", lambda _names: {"clicks": settings})
    found = topics.short_lived(wanted_ms)
    assert len(found) == bool(said)
    assert all(re.search(said, text) for text in found)
