"""A log that is not what it was: shorter, another one, or with stamps that are not the broker's."""

from __future__ import annotations

import time
from itertools import count

import pyarrow as pa
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from adapters.kafka.access import KafkaAccess
from adapters.kafka.continuity import Continuity, Mark
from adapters.kafka.cut import CutFinder
from adapters.kafka.log import Entry, LogReader
from adapters.kafka.peek import Peek
from adapters.kafka.raw_reader import RawReader
from adapters.kafka.topics import Topics
from adapters.lake.raw_table import SCHEMA, RawTable
from batch.archive import Archive
from core.contract import UNSTAMPED_MS
from core.errors import ConfigurationError
from core.position import PartitionKey
from tests.support.shop import SHOP
from tests.support.waiting import until

pytestmark = pytest.mark.integration

CLICKS = PartitionKey("clicks", 1)
DAY_MS = 86_400_000


def send(access: KafkaAccess, count: int, **more: int) -> None:
    producer = Producer(access.confluent())
    for number in range(count):
        producer.produce(CLICKS.topic, b"%d" % number, b"k", CLICKS.partition, **more)
    assert producer.flush(20) == 0


def mark_of(access: KafkaAccess, offset: int) -> Mark:
    peek = Peek(access)
    place = peek.first({CLICKS: offset})[CLICKS]
    peek.close()
    assert place is not None
    return Mark(offset + 1, *place)


def remake(access: KafkaAccess, **config: str) -> None:
    """The topics of events again, under the same names."""
    admin = AdminClient(access.confluent())
    for future in admin.delete_topics([CLICKS.topic]).values():
        future.result(10)
    topics = Topics(access, SHOP.topics)
    until(lambda: CLICKS.topic not in topics.names(), within_s=15, what="the topic to go")
    for future in admin.create_topics([NewTopic(CLICKS.topic, 4, 1, config=config)]).values():
        future.result(10)
    until(lambda: CLICKS.topic in topics.names(), within_s=15, what="the topic to come")


@pytest.fixture
def continuity(fresh_topics: KafkaAccess) -> Continuity:
    return Continuity(fresh_topics, "this view", "begin another one", pause=lambda _: None)


def test_the_log_that_was_counted_may_grow_and_lose_its_beginning(fresh_topics, continuity):
    send(fresh_topics, 50)
    mark = mark_of(fresh_topics, 49)
    continuity.check({CLICKS: mark, PartitionKey("sales", 0): Mark(0, -1, 0)})
    send(fresh_topics, 50)
    continuity.check({CLICKS: mark})
    admin = AdminClient(fresh_topics.confluent())
    for future in admin.delete_records([TopicPartition(*CLICKS, 80)]).values():
        future.result(10)
    continuity.check({CLICKS: mark})
    continuity.close()


def test_a_shorter_log_is_refused_with_both_numbers(fresh_topics, continuity):
    send(fresh_topics, 10)
    with pytest.raises(ConfigurationError, match=r"clicks:1 ends at 10, this view counted to 60: .*begin another one"):
        continuity.check({CLICKS: Mark(60, 59, 1)})
    continuity.close()


def test_another_log_is_refused_however_long_it_has_grown(fresh_topics, continuity):
    send(fresh_topics, 50)
    mark = mark_of(fresh_topics, 49)
    remake(fresh_topics, **{"message.timestamp.type": "LogAppendTime"})
    send(fresh_topics, 100)
    with pytest.raises(ConfigurationError, match="holds another record at offset 49"):
        continuity.check({CLICKS: mark})
    continuity.close()


def test_an_archive_knows_the_log_that_it_is_of(fresh_topics, tmp_path):
    send(fresh_topics, 50)
    table = RawTable(tmp_path / "raw", SHOP.topics)
    Archive(fresh_topics, table).run({CLICKS: 40})
    place = mark_of(fresh_topics, 39)
    assert table.marks() == {CLICKS: (place.last, place.append_ms)}
    Archive(fresh_topics, RawTable(tmp_path / "raw", SHOP.topics)).run({CLICKS: 50})
    # as where Kafka's data were put back and have grown: the same topic, other records
    table.append(table_of(50, 1_000), {CLICKS: (50, 51)})
    send(fresh_topics, 50)
    with pytest.raises(
        ConfigurationError, match=r"another record at offset 50 than the archive counted.*FOURFOLD_LAKE"
    ):
        Archive(fresh_topics, RawTable(tmp_path / "raw", SHOP.topics)).run({CLICKS: 100})


def table_of(offset: int, append_ms: int):
    return pa.table([["clicks"], [1], [offset], [append_ms], [b"k"], [b"v"]], SCHEMA)


@pytest.mark.parametrize(
    "stamp_ms",
    [1, 1_000 * DAY_MS, int(time.time() * 1000) + DAY_MS, int(time.time() * 1e6)],
    ids=["1970", "2.7 years", "tomorrow", "microseconds"],
)
def test_stamps_of_producers_hold_no_cut_and_are_no_append_times(fresh_topics, stamp_ms):
    wild = {"message.timestamp.type": "CreateTime", "message.timestamp.after.max.ms": str(2**63 - 1)}
    remake(fresh_topics, **wild, **{"retention.ms": "-1"})
    send(fresh_topics, 3, timestamp=stamp_ms)
    admin = AdminClient(fresh_topics.confluent())
    entry = ConfigEntry("message.timestamp.type", "LogAppendTime", incremental_operation=AlterConfigOpType.SET)
    change = ConfigResource(ResourceType.TOPIC, CLICKS.topic, incremental_configs=[entry])
    for future in admin.incremental_alter_configs([change]).values():
        future.result(10)
    began = time.time() * 1000
    # the broker may take what comes first as it took the others
    offsets = count(3)
    until(
        lambda: send(fresh_topics, 1) or mark_of(fresh_topics, next(offsets)).append_ms or None,
        within_s=10,
        what="the broker's stamps",
    )
    with LogReader(fresh_topics, [CLICKS]) as reader:
        found = [entry for entry in reader.read_to_end() if isinstance(entry, Entry)]
    assert [entry.append_ms for entry in found[:3]] == [UNSTAMPED_MS] * 3
    stamped = [entry for entry in found if entry.append_ms]
    with RawReader(fresh_topics) as raw:
        raw.begin({CLICKS: (0, found[-1].offset + 1)})
        rows = until(
            lambda: [piece.rows for piece in raw.read(0.1) if len(piece.rows)] or None, within_s=10, what="rows"
        )
    assert rows[0]["append_ms"].to_pylist() == [entry.append_ms for entry in found]
    finder = CutFinder(fresh_topics, SHOP.topics, epoch_ms=1, margin_ms=0)
    # behind everything, at the first stamped record, and before it
    assert finder.at(stamped[-1].append_ms + 1, [CLICKS]).vector == {CLICKS: found[-1].offset + 1}
    assert finder.at(stamped[0].append_ms, [CLICKS]).vector == {CLICKS: stamped[0].offset}
    assert finder.at(int(began) - DAY_MS, [CLICKS]).vector == {CLICKS: stamped[0].offset}
    finder.close()
