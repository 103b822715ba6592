"""Dead letters: published with everything that tells where they were, or not counted as published."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from structlog.testing import capture_logs

from adapters.kafka import dead_letters
from adapters.kafka.access import KafkaAccess
from adapters.kafka.dead_letters import DeadLetterProducer, FoundLetter, read_dead_letters
from adapters.kafka.log import Entry
from core.delta import DeadLetter
from core.errors import ConfigurationError, UnavailableError
from core.events import DEAD_LETTERS_MAX_BYTES
from core.position import PartitionKey
from core.verdict import Reason
from tests.support.events import CLICKS_0, NOW_MS
from tests.support.fake_reader import FakeReader
from tests.support.shop import SHOP


class FakeProducer:
    """A client of Kafka that keeps what it is given and fails as the test says."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.sent: list[dict[str, Any]] = []
        self.trouble: list[Exception] = []
        self.delivery_error: Any = None
        self.unanswered = 0
        self.polls = 0
        self._waiting: list[Callable[[Any, Any], None]] = []

    def produce(self, topic: str, **message: Any) -> None:
        if self.trouble:
            raise self.trouble.pop(0)
        self._waiting.append(message.pop("on_delivery"))
        self.sent.append({"topic": topic, **message})

    def poll(self, _timeout: float) -> int:
        self.polls += 1
        return 0

    def flush(self, _timeout: float) -> int:
        for report in self._waiting:
            report(self.delivery_error, None)
        self._waiting.clear()
        return self.unanswered


@pytest.fixture
def producer(monkeypatch: pytest.MonkeyPatch) -> DeadLetterProducer:
    monkeypatch.setattr(dead_letters, "Producer", FakeProducer)
    return DeadLetterProducer(KafkaAccess("h:1"))


def letter(value: bytes | None = b"\xff\x00", offset: int = 7, detail: str = "no JSON") -> DeadLetter:
    return DeadLetter(CLICKS_0, offset, NOW_MS, b"key", value, Reason.NOT_JSON, detail)


def publish(producer: DeadLetterProducer, *letters: DeadLetter) -> FakeProducer:
    asyncio.run(producer.publish(letters))
    return client_of(producer)


def client_of(producer: DeadLetterProducer) -> FakeProducer:
    client = producer._producer
    assert isinstance(client, FakeProducer)
    return client


def test_a_letter_has_the_bytes_and_where_they_were(producer: DeadLetterProducer) -> None:
    (sent,) = publish(producer, letter()).sent
    # the only partition that is read, also where somebody has added others
    assert (sent["topic"], sent["partition"]) == ("dead-letters", 0)
    assert sent["key"] == "clicks:0:7"
    assert sent["value"] == b"\xff\x00"
    headers = dict(sent["headers"])
    assert headers["reason"] == b"not_json"
    assert headers["append-ms"] == str(NOW_MS).encode()
    assert (headers["source-topic"], headers["source-partition"], headers["source-offset"]) == (
        *(b"clicks", b"0", b"7"),
    )
    assert (headers["source-key"], headers["null-value"]) == (b"key", b"false")
    assert sent["partition"] == 0


def test_a_key_of_any_bytes_is_kept_as_it_was(producer: DeadLetterProducer) -> None:
    (sent,) = publish(producer, letter()._replace(key=b"\xff\x00\xc3\xa9")).sent
    assert dict(sent["headers"])["source-key"] == b"\xff\x00\xc3\xa9"


def test_the_same_letter_has_the_same_key(producer: DeadLetterProducer) -> None:
    sent = publish(producer, letter(), letter(offset=8), letter()).sent
    assert [message["key"] for message in sent] == ["clicks:0:7", "clicks:0:8", "clicks:0:7"]


def test_a_letter_without_a_value_is_no_tombstone(producer: DeadLetterProducer) -> None:
    (sent,) = publish(producer, letter(None)).sent
    assert sent["value"] == b""
    assert dict(sent["headers"])["null-value"] == b"true"


@pytest.mark.parametrize("detail", ["x" * 100_000, "\ud800 surrogate", "\x00\n"])
def test_any_detail_fits_a_header(producer: DeadLetterProducer, detail: str) -> None:
    (sent,) = publish(producer, letter(detail=detail)).sent
    assert 0 < len(dict(sent["headers"])["detail"]) <= 500


def test_a_full_buffer_is_waited_for(producer: DeadLetterProducer) -> None:
    client_of(producer).trouble = [BufferError(), BufferError()]
    client = publish(producer, letter())
    assert (len(client.sent), client.polls) == (1, 2)


def test_a_refusal_is_said(producer: DeadLetterProducer) -> None:
    client_of(producer).trouble = [KafkaException(KafkaError(KafkaError._FATAL))]
    with pytest.raises(UnavailableError, match="Kafka takes no dead letters"):
        publish(producer, letter())


def test_a_letter_that_is_not_acknowledged_is_said(producer: DeadLetterProducer) -> None:
    client_of(producer).delivery_error = KafkaError(KafkaError._MSG_TIMED_OUT)
    with pytest.raises(UnavailableError, match=r"Kafka takes no dead letters: .*timed out"):
        publish(producer, letter())


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (KafkaError.MSG_SIZE_TOO_LARGE, "max.message.bytes"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "kafka-acls.sh"),
        (KafkaError.INVALID_RECORD, "compacted"),
    ],
)
def test_what_does_not_pass_by_itself_is_not_waited_for(producer: DeadLetterProducer, code: int, remedy: str) -> None:
    client_of(producer).delivery_error = KafkaError(code)
    with pytest.raises(ConfigurationError, match=rf"Kafka takes no dead letters: .*{remedy}"):
        publish(producer, letter())


def test_a_key_of_any_size_leaves_room_for_the_value(producer: DeadLetterProducer) -> None:
    large = letter(b"v" * DEAD_LETTERS_MAX_BYTES)._replace(key=b"k" * DEAD_LETTERS_MAX_BYTES)
    (sent,) = publish(producer, large).sent
    size = len(sent["value"]) + sum(len(text or "") for _, text in sent["headers"])
    assert size < DEAD_LETTERS_MAX_BYTES - (16 << 10)


def test_letters_without_an_answer_are_said(producer: DeadLetterProducer) -> None:
    client_of(producer).unanswered = 1
    with pytest.raises(UnavailableError, match="Kafka takes no dead letters: no answer"):
        publish(producer, letter())


def test_after_a_failure_the_next_try_is_judged_on_its_own(producer: DeadLetterProducer) -> None:
    client_of(producer).delivery_error = KafkaError(KafkaError._MSG_TIMED_OUT)
    with pytest.raises(UnavailableError):
        publish(producer, letter())
    client_of(producer).delivery_error = None
    assert len(publish(producer, letter()).sent) == 2


def test_letters_are_read_back_once_each(monkeypatch: pytest.MonkeyPatch, producer: DeadLetterProducer) -> None:
    sent = publish(producer, letter(), letter(None, 8), letter(b"", 9), letter()).sent
    log_of(monkeypatch, *((message["key"].encode(), message["value"], message["headers"]) for message in sent))
    assert read_dead_letters(KafkaAccess("h:1"), SHOP) == (
        [
            FoundLetter(CLICKS_0, 7, NOW_MS, "not_json", "no JSON", b"\xff\x00", 2),
            FoundLetter(CLICKS_0, 8, NOW_MS, "not_json", "no JSON", None, 0),
            FoundLetter(CLICKS_0, 9, NOW_MS, "not_json", "no JSON", b"", 0),
        ],
        0,
    )
    (shortened, *_), _ = read_dead_letters(KafkaAccess("h:1"), SHOP, keep=1)
    assert (shortened.value, shortened.size) == (b"\xff", 2)


DEAD = PartitionKey("dead-letters", 0)


def ours(offset: int = 5, **others: bytes | None) -> list[tuple[str, Any]]:
    """The headers of a letter of Fourfold, with others in their place."""
    fields: dict[str, Any] = dict(dead_letters._headers(letter(offset=offset)))
    return list((fields | {name.replace("_", "-"): value for name, value in others.items()}).items())


def log_of(monkeypatch: pytest.MonkeyPatch, *records: tuple[bytes | None, bytes | None, list[tuple[str, Any]]]) -> None:
    reader = FakeReader([Entry(DEAD, at, NOW_MS, *record) for at, record in enumerate(records)])
    monkeypatch.setattr(dead_letters, "LogReader", reader)


@pytest.mark.parametrize(
    ("key", "headers"),
    [
        *((b"order-17", ours()), (b"\xff", ours()), (None, ours()), (b"", ours()), (b"orders:0:5", ours())),
        *((b"clicks:0:x", ours()), (b"clicks:-1:5", ours()), (b"clicks:0:" + b"9" * 5_000, ours())),
        *(
            (b"clicks:0:5\n", ours()),
            ("clicks:0:\u0665".encode(), ours()),
            (b"clicks:1:5", ours()),
            (b"clicks:0:6", ours()),
        ),
        *((b"clicks:0:5", []), (b"clicks:0:5", [("reason", None)]), (b"clicks:0:5", ours(reason=None))),
        *((b"clicks:0:5", ours(reason=b"\xff")), (b"clicks:0:5", ours(reason=b"price"))),
        *((b"clicks:0:5", ours(append_ms=b"soon")), (b"clicks:0:5", ours(append_ms=b"99999999999999999"))),
        *((b"clicks:0:5", ours(append_ms=b"-1")), (b"clicks:0:5", ours(size=b"{}")), (b"clicks:0:5", ours(size=None))),
        *((b"clicks:0:5", ours(source_topic=b"sales")), (b"clicks:0:5", ours(null_value=b"1"))),
        *((b"clicks:0:5", ours(detail=b"9" * 5_000)), (b"clicks:0:5", ours(source_offset=b"6"))),
    ],
)
def test_records_of_somebody_else_are_left_out_and_counted(
    monkeypatch: pytest.MonkeyPatch, key: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    log_of(monkeypatch, (key, b"x", headers), (b"clicks:0:7", b"x", ours(7)), (b"clicks:0:5", b"ours", ours()))
    with capture_logs() as logs:
        letters = read_dead_letters(KafkaAccess("h:1"), SHOP)
    assert [(found.offset, found.value) for found in letters.found] == [(7, b"x"), (5, b"ours")]
    assert letters.foreign == 1
    assert [entry["records"] for entry in logs] == [1]


def test_a_tombstone_takes_its_letter_as_compaction_will(monkeypatch: pytest.MonkeyPatch) -> None:
    log_of(
        monkeypatch,
        *((b"clicks:0:5", b"x", ours()), (b"clicks:0:6", b"x", ours(6)), (b"clicks:0:5", None, [])),
        *((b"clicks:0:9", None, []), (b"order-17", None, [])),
    )
    letters = read_dead_letters(KafkaAccess("h:1"), SHOP)
    assert [found.offset for found in letters.found] == [6]
    assert letters.foreign == 1
