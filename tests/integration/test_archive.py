"""The archive on a real Kafka: each record once, whoever archives, whatever is killed, and no silent loss."""

import json
import os
import random
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from adapters.kafka.access import KafkaAccess
from adapters.kafka.cut import CutFinder
from adapters.kafka.log import LogReader
from adapters.kafka.raw_reader import OffsetGoneError, RawReader
from adapters.kafka.topics import Topics
from adapters.lake.raw_table import SCHEMA, RawTable
from batch.archive import Archive, LostRecordsError
from core.errors import ConfigurationError, UnavailableError
from core.position import PartitionKey
from modes.launcher import Launch
from tests.support.product import launcher
from tests.support.shop import SHOP
from tests.support.waiting import until

pytestmark = pytest.mark.integration

KILLS = int(os.environ.get("FOURFOLD_TEST_KILLS", "6"))
CUTS = int(os.environ.get("FOURFOLD_TEST_CUTS", "40"))
CLICKS = PartitionKey("clicks", 1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "raw"


def produce(access: KafkaAccess, count: int, *sources: PartitionKey) -> dict[PartitionKey, int]:
    """So many numbered records, spread over `sources`; the end of each of them."""
    sources = sources or tuple(Topics(access, SHOP.topics).partitions())
    producer = Producer(access.confluent(linger_ms=5, queue_buffering_max_messages=1_000_000))
    for number in range(count):
        topic, partition = sources[number % len(sources)]
        producer.produce(topic, b"value %d" % number, key=b"key %d" % number, partition=partition)
    assert producer.flush(30) == 0
    with RawReader(access) as reader:
        return {source: high for source, (_, high) in reader.bounds(sources).items()}


def rows(path, source):
    """All rows of a partition: (offset, append time, key, value)."""
    batches = RawTable(path, SHOP.topics).scan(source, 0, 10**9)
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]


def in_log(access, sources):
    """The same of the log, as another reader sees it."""
    found = {source: [] for source in sources}
    with LogReader(access, sources) as reader:
        for entry in reader.read_to_end():
            found[entry.source].append((entry.offset, entry.append_ms, entry.key, entry.value))
    return found


def delete_below(access, source, offset):
    """What retention does, at once."""
    admin = AdminClient(access.confluent())
    for future in admin.delete_records([TopicPartition(*source, offset)]).values():
        future.result(10)


def test_it_archives_what_is_in_the_log_and_no_more_than_the_cut(fresh_topics, path):
    half = produce(fresh_topics, 5_000)
    ends = produce(fresh_topics, 5_000)
    told = []
    archive = Archive(fresh_topics, RawTable(path, SHOP.topics), commit_rows=1_000, progress=told.append)
    report = archive.run(half)
    assert report.records == 5_000
    assert report.positions == half
    assert told == sorted(told)
    assert told[-1] == 5_000
    assert len(told) > 2
    assert archive.run(half).records == 0
    assert archive.run(ends).records == 5_000
    truth = in_log(fresh_topics, ends)
    assert {source: rows(path, source) for source in ends} == truth
    archive.tidy()
    assert {source: rows(path, source) for source in ends} == truth


def test_archivers_at_once_archive_each_record_once(fresh_topics, path):
    ends = produce(fresh_topics, 20_000)
    together = threading.Barrier(3)

    def archive(_):
        table = RawTable(path, SHOP.topics)
        together.wait()
        return Archive(fresh_topics, table, commit_rows=1_000).run(ends)

    with ThreadPoolExecutor(3) as pool:
        reports = list(pool.map(archive, range(3)))
    assert sum(report.records for report in reports) == 20_000
    assert all(report.positions == ends for report in reports)
    assert {source: rows(path, source) for source in ends} == in_log(fresh_topics, ends)


def test_control_records_and_aborted_ones_are_no_rows_and_no_obstacle(fresh_topics, path):
    producer = Producer(fresh_topics.confluent(transactional_id="archive-test"))
    producer.init_transactions(10)
    for end in (producer.commit_transaction, producer.abort_transaction):
        producer.begin_transaction()
        for _ in range(3):
            producer.produce(CLICKS.topic, b"v", partition=CLICKS.partition)
        producer.flush(10)
        end(10)
    table = RawTable(path, SHOP.topics)
    # three records and a marker, twice
    assert Archive(fresh_topics, table).run({CLICKS: 8}).records == 3
    assert table.positions() == {CLICKS: 8}

    producer.begin_transaction()
    producer.produce(CLICKS.topic, b"v", partition=CLICKS.partition)
    producer.flush(10)
    with pytest.raises(UnavailableError, match=r"no records of clicks:1 from 8 on for 1 s.*a transaction is open"):
        Archive(fresh_topics, table, quiet_s=1).run({CLICKS: 9})
    producer.commit_transaction(10)
    assert Archive(fresh_topics, table).run({CLICKS: 9}).records == 1
    assert [offset for offset, *_ in rows(path, CLICKS)] == [0, 1, 2, 8]


def test_the_first_archive_begins_where_the_log_does(fresh_topics, path):
    ends = produce(fresh_topics, 100, CLICKS)
    delete_below(fresh_topics, CLICKS, 40)
    table = RawTable(path, SHOP.topics)
    assert Archive(fresh_topics, table).run(ends).records == 60
    assert (table.firsts(), table.lost()) == ({CLICKS: 40}, {})


def test_what_retention_took_is_an_error_until_it_is_accepted(fresh_topics, path):
    produce(fresh_topics, 100, CLICKS)
    table = RawTable(path, SHOP.topics)
    Archive(fresh_topics, table).run({CLICKS: 30})
    delete_below(fresh_topics, CLICKS, 70)
    with pytest.raises(LostRecordsError, match=r"clicks:1 offsets 30 to 69 \(40\); .*--accept-loss"):
        Archive(fresh_topics, table).run({CLICKS: 100})
    assert table.positions() == {CLICKS: 30}
    assert Archive(fresh_topics, table, accept_loss=True).run({CLICKS: 100}).records == 30
    assert (table.positions(), table.firsts(), table.lost()) == ({CLICKS: 100}, {CLICKS: 0}, {CLICKS: 40})
    assert [offset for offset, *_ in rows(path, CLICKS)] == [*range(30), *range(70, 100)]
    # all that a cut has is gone
    produce(fresh_topics, 20, CLICKS)
    delete_below(fresh_topics, CLICKS, 120)
    assert Archive(fresh_topics, table, accept_loss=True).run({CLICKS: 110}).records == 0
    assert (table.positions(), table.lost()) == ({CLICKS: 110}, {CLICKS: 50})


def test_retention_may_pass_while_it_reads(fresh_topics, path, monkeypatch):
    produce(fresh_topics, 100, CLICKS)
    table = RawTable(path, SHOP.topics)
    Archive(fresh_topics, table).run({CLICKS: 30})
    begin, deleted = RawReader.begin, []

    def late(reader, spans):
        if not deleted:
            deleted.append(delete_below(fresh_topics, CLICKS, 70))
        begin(reader, spans)

    monkeypatch.setattr(RawReader, "begin", late)
    with pytest.raises(LostRecordsError, match="offsets 30 to 69"):
        Archive(fresh_topics, table).run({CLICKS: 100})
    with RawReader(fresh_topics) as reader:
        reader.begin({CLICKS: (30, 100)})
        with pytest.raises(OffsetGoneError):
            until(lambda: reader.read(0.1), within_s=10, what="an error")


def test_topics_made_anew_are_refused_however_long_they_are(fresh_topics, path):
    produce(fresh_topics, 10, CLICKS)
    Archive(fresh_topics, RawTable(path, SHOP.topics)).run({CLICKS: 10})
    admin = AdminClient(fresh_topics.confluent())
    for future in admin.delete_topics([CLICKS.topic]).values():
        future.result(10)
    topics = Topics(fresh_topics, SHOP.topics)
    until(lambda: CLICKS.topic not in topics.states(), within_s=10, what="the topic to go")
    topics.ensure(partitions=4, retention_ms=-1)
    produce(fresh_topics, 50, CLICKS)
    with pytest.raises(ConfigurationError, match="the topic clicks was deleted and made anew"):
        Archive(fresh_topics, RawTable(path, SHOP.topics)).run({CLICKS: 50})
    assert RawTable(path, SHOP.topics).positions() == {CLICKS: 10}


def test_a_log_that_ends_before_the_archive_is_refused(fresh_topics, path):
    table = RawTable(path, SHOP.topics)
    table.append(SCHEMA.empty_table(), {CLICKS: (0, 50)})
    produce(fresh_topics, 10, CLICKS)
    with pytest.raises(ConfigurationError, match="the log of clicks:1 ends at 10, the archive counted to 50"):
        Archive(fresh_topics, table).run({CLICKS: 60})


def test_a_cut_divides_the_log_by_epochs_while_it_grows(fresh_topics):
    sources = Topics(fresh_topics, SHOP.topics).partitions()
    close = CutFinder(fresh_topics, SHOP.topics, epoch_ms=5, margin_ms=0)
    safe = CutFinder(fresh_topics, SHOP.topics, epoch_ms=5, margin_ms=1_000)
    stop = threading.Event()

    def keep_producing():
        producer = Producer(fresh_topics.confluent(linger_ms=1))
        number = 0
        while not stop.wait(0.001):
            # one partition stays empty
            for _ in range(20):
                topic, partition = sources[number % (len(sources) - 1)]
                producer.produce(topic, b"v", partition=partition)
                number += 1
            producer.poll(0)
        producer.flush(10)

    thread = threading.Thread(target=keep_producing)
    thread.start()
    cuts = []
    try:
        until(
            lambda: cuts.append((close.find(lambda: sources), safe.find(lambda: sources))) or len(cuts) == CUTS,
            within_s=60,
            what="cuts",
            every_s=0,
        )
    finally:
        stop.set()
        thread.join()
        close.close()
        safe.close()
    records = in_log(fresh_topics, sources)
    assert sum(map(len, records.values())) > 500
    assert any(0 < offset < len(records[source]) for _, cut in cuts for source, offset in cut.vector.items())
    for cut in [cut for pair in cuts for cut in pair]:
        assert set(cut.vector) == set(sources)
        for source, entries in records.items():
            below = entries[: cut.vector[source]]
            assert all(append_ms // 5 < cut.epoch for _, append_ms, *_ in below)
    # a broker stamps a record a little before it shows it: without a margin one may come after the cut
    for _, cut in cuts:
        for source, entries in records.items():
            above = entries[cut.vector[source] :]
            assert all(append_ms // 5 >= cut.epoch for _, append_ms, *_ in above)


def test_a_cut_does_not_stop_at_an_open_transaction(fresh_topics):
    finder = CutFinder(fresh_topics, SHOP.topics, epoch_ms=1, margin_ms=0)
    producer = Producer(fresh_topics.confluent(transactional_id="cut-test"))
    producer.init_transactions(10)
    producer.begin_transaction()
    producer.produce(CLICKS.topic, b"v", partition=CLICKS.partition)
    producer.flush(10)
    first = finder.find(lambda: [CLICKS]).epoch
    cut = finder.find(lambda: [CLICKS])
    while cut.epoch == first:
        cut = finder.find(lambda: [CLICKS])
    producer.abort_transaction(10)
    assert cut.vector == {CLICKS: 1}
    finder.close()


def test_where_kafka_is_away_no_cut_is_found(monkeypatch):
    monkeypatch.setattr("adapters.kafka.cut.TIMEOUT_S", 1.0)
    finder = CutFinder(KafkaAccess("127.0.0.1:1"), SHOP.topics, epoch_ms=1000, margin_ms=0)
    with pytest.raises(UnavailableError, match="Kafka"):
        finder.find(lambda: [CLICKS])
    finder.close()


def commits(said: Path, count: int) -> Callable[[], bool]:
    """Whether a child has said so often how far it is."""
    return lambda: said.read_text().count("\n") >= count


def test_kills_at_any_point_leave_each_record_once(fresh_topics, path, tmp_path):
    dice = random.Random(11)
    ends = produce(fresh_topics, 6_000 * KILLS)
    vector = json.dumps({str(source): end for source, end in ends.items()})
    arguments = [fresh_topics.bootstrap, str(path), "500", vector]
    killed = 0
    for number in range(KILLS):
        said = tmp_path / f"{number}.log"
        child = launcher().start(Launch(["tests.support.archive_child", *arguments], os.environ, said))
        until(commits(said, dice.randrange(6)), within_s=60, what="commits", every_s=0.002)
        # somewhere between two commits, which take about 10 ms
        try:
            child.wait(dice.uniform(0, 0.02))
        except subprocess.TimeoutExpired:
            killed += 1
        child.kill()
        child.wait()
    assert killed == KILLS
    table = RawTable(path, SHOP.topics)
    at_work = table.positions()
    assert 0 < sum(at_work.values()) < sum(ends.values())
    Archive(fresh_topics, table).run(ends)
    table.vacuum(alone=True)
    assert {source: rows(path, source) for source in ends} == in_log(fresh_topics, ends)
