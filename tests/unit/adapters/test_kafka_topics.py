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
from core.errors import ConfigurationError, UnavailableError
from tests.support.shop import SHOP


def test_an_answer_that_never_comes_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_LIMIT_S", 0.01)

    class Silent(AdminClient):
        def describe_topics(self, *_: object, **__: object) -> dict[str, Future[object]]:
            return {"clicks": Future()}

    topics = Topics(KafkaAccess("127.0.0.1:1"), SHOP.topics)
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
    topics = Topics(KafkaAccess("127.0.0.1:1"), SHOP.topics)
    monkeypatch.setattr(topics, "_configs", lambda _names: {"clicks": settings})
    found = topics.short_lived(wanted_ms)
    assert len(found) == bool(said)
    assert all(re.search(said, text) for text in found)


def settings_of(wanted_of: Topics, **spoilt: str) -> dict[str, dict[str, SimpleNamespace]]:
    """Those that Fourfold wants, of each topic, but for some of `dead-letters`."""
    wanted = {name: dict(config) for name, config in wanted_of._wanted.items()}
    wanted["dead-letters"] |= {key.replace("_", "."): value for key, value in spoilt.items()}
    return {
        name: {key: SimpleNamespace(value=value) for key, value in ({"min.insync.replicas": "1"} | config).items()}
        for name, config in wanted.items()
    }


@pytest.mark.parametrize(
    ("spoilt", "refused"),
    [
        ({}, ""),
        ({"max_message_bytes": "99999999"}, ""),
        ({"max_message_bytes": "1000"}, "max.message.bytes=1000"),
        ({"cleanup_policy": "delete"}, "cleanup.policy=delete"),
        ({"min_insync_replicas": "2"}, "min.insync.replicas=2"),
    ],
)
def test_a_topic_that_cannot_be_used_is_refused(
    monkeypatch: pytest.MonkeyPatch, spoilt: dict[str, str], refused: str
) -> None:
    topics = Topics(KafkaAccess("127.0.0.1:1"), SHOP.topics)
    monkeypatch.setattr(topics, "_configs", lambda _names: settings_of(topics, **spoilt))
    described = {name: SimpleNamespace(replicas=1) for name in topics._wanted}
    monkeypatch.setattr(topics, "_described", lambda _names: described)
    if not refused:
        topics.check_settings()
        return
    with pytest.raises(ConfigurationError, match=f"topic dead-letters has {re.escape(refused)}"):
        topics.check_settings()
