"""The producers against a real broker: once, keyed, with headers, at the broker's append time."""

from __future__ import annotations

import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from core.truth import HEADER
from producers.dirt import DirtShares
from producers.emitter import Emitter
from producers.pacer import Pacer
from producers.record import Record
from producers.role import run
from producers.stream import ShopStream
from tests.support.shop import Claim, decode
from tests.support.shop_events import CLICKS, CONTENT_TYPE, SALES

pytestmark = pytest.mark.integration

PARTITIONS = 4
RECORDS = 20_000
BOUND_S = 60


class Renamed:
    """So many records of a stream, on topics of this test's own."""

    def __init__(self, stream: ShopStream, prefix: str, count: int) -> None:
        self.stream = stream
        self.prefix = prefix
        self.left = count

    def take(self, count: int, now_ms: int) -> list[Record]:
        out = self.stream.take(min(count, self.left), now_ms)
        self.left -= len(out)
        return [record._replace(topic=self.prefix + record.topic) for record in out]


@pytest.fixture(scope="module")
def prefix(kafka_bootstrap: str) -> Iterator[str]:
    prefix = f"test-{uuid.uuid4().hex[:8]}-"
    topics = [prefix + CLICKS, prefix + SALES]
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    made = admin.create_topics(
        [NewTopic(topic, PARTITIONS, 1, config={"message.timestamp.type": "LogAppendTime"}) for topic in topics]
    )
    for future in made.values():
        future.result(BOUND_S)
    yield prefix
    for future in admin.delete_topics(topics).values():
        future.result(BOUND_S)


@pytest.fixture(scope="module")
def messages(kafka_bootstrap: str, prefix: str) -> list[Message]:
    started_s = time.time()
    stream = ShopStream(1, uuid.uuid4().hex[:8], DirtShares(duplicates=0.05))
    stats = run(
        Emitter({"bootstrap.servers": kafka_bootstrap}),
        Renamed(stream, prefix, RECORDS),
        Pacer(10_000),
        threading.Event(),
        lambda _stats: None,
    )
    assert (stats.produced, stats.delivered, stats.failed, stats.lost) == (RECORDS, RECORDS, 0, 0)
    found = read_all(kafka_bootstrap, prefix)
    for message in found:
        kind, append_ms = message.timestamp()
        assert kind == TIMESTAMP_LOG_APPEND_TIME
        assert started_s - 60 < append_ms / 1000 < time.time() + 60
    return found


def read_all(bootstrap: str, prefix: str) -> list[Message]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": prefix, "enable.auto.commit": False})
    partitions = [
        TopicPartition(prefix + topic, partition, 0) for topic in (CLICKS, SALES) for partition in range(PARTITIONS)
    ]
    ends = [consumer.get_watermark_offsets(p, timeout=BOUND_S)[1] for p in partitions]
    consumer.assign(partitions)
    found: list[Message] = []
    bound = time.monotonic() + BOUND_S
    while len(found) < sum(ends) and time.monotonic() < bound:
        for message in consumer.consume(1_000, timeout=1.0):
            assert message.error() is None
            found.append(message)
    consumer.close()
    assert len(found) == sum(ends)
    return found


def claim_of(message: Message) -> Claim:
    headers = dict(message.headers() or [])
    assert headers["content-type"] == CONTENT_TYPE.encode()
    truth = headers[HEADER]
    assert isinstance(truth, bytes)
    claim = decode(truth)
    assert claim is not None
    return claim


def test_every_record_arrives_once(messages: list[Message]) -> None:
    assert len(messages) == RECORDS
    originals = [c.number for c in map(claim_of, messages) if c.verdict != "duplicate"]
    assert sorted(originals) == list(range(1, len(originals) + 1))


def test_a_key_stays_in_its_partition(messages: list[Message]) -> None:
    partitions: dict[tuple[str | None, bytes], set[int | None]] = defaultdict(set)
    for message in messages:
        key = message.key()
        assert isinstance(key, bytes)
        partitions[message.topic(), key].add(message.partition())
    assert all(len(found) == 1 for found in partitions.values())
    assert len(set.union(*partitions.values())) == PARTITIONS


def test_a_duplicate_follows_its_original_in_the_same_partition(messages: list[Message]) -> None:
    originals: dict[int, Message] = {}
    duplicates = []
    for message in messages:
        claim = claim_of(message)
        if claim.verdict == "duplicate":
            duplicates.append((claim.number, message))
        else:
            originals[claim.number] = message
    assert duplicates
    for number, message in duplicates:
        first = originals[number]
        assert (first.topic(), first.partition()) == (message.topic(), message.partition())
        assert (first.offset() or 0) < (message.offset() or 0)
        assert (first.key(), first.value()) == (message.key(), message.value())


def test_the_key_is_the_user(messages: list[Message]) -> None:
    for message in messages:
        claim = claim_of(message)
        if claim.verdict == "accepted":
            assert message.key() == claim.user.encode()
