"""Bad circumstances: each ends in recovery or in one clear line, never in silent loss."""

import signal
import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from redis import Redis

from adapters.embedded.servers import EmbeddedServers
from adapters.kafka.access import KafkaAccess
from adapters.kafka.topics import Topics
from core.events import DEAD_LETTERS, REPAIRS
from modes.settings import Settings
from tests.support.product import assert_exact, caught_up, produce, run, snapshot, worker
from tests.support.shop import SHOP
from tests.support.shop_events import TOPICS
from tests.support.waiting import until

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def own_servers(tmp_path_factory) -> Iterator[EmbeddedServers]:
    """Servers that these tests may stop."""
    with EmbeddedServers(tmp_path_factory.mktemp("own")) as servers:
        yield servers


@pytest.fixture
def settings(own_servers: EmbeddedServers, tmp_path) -> Settings:
    addresses = own_servers.running()
    assert addresses is not None
    access = KafkaAccess(addresses.kafka)
    _delete_topics(access)
    Topics(access, SHOP.topics).ensure(partitions=4, retention_ms=-1)
    name = f"t{uuid.uuid4().hex[:8]}"
    return Settings(
        mode="streaming",
        kafka=addresses.kafka,
        redis=addresses.redis,
        namespace=name,
        group=name,
        data_dir=tmp_path,
        epoch_seconds=5,
        _env_file=None,
    )


def _delete_topics(access: KafkaAccess) -> None:
    admin = AdminClient(access.confluent())
    names = {*TOPICS, DEAD_LETTERS, REPAIRS} & set(admin.list_topics(timeout=10).topics)
    for future in (admin.delete_topics(sorted(names)) if names else {}).values():
        future.result(10)
    until(lambda: not names & set(admin.list_topics(timeout=5).topics), within_s=20, what="topics to go")


def _log(settings: Settings, name: str = "process") -> str:
    return (settings.data_dir / "logs" / f"{name}.log").read_text()


def _counted(settings: Settings) -> int:
    seen = snapshot(settings)
    return sum(seen.vector.values()) if seen else 0


def test_worker_that_starts_before_its_servers_counts_when_they_come(own_servers, settings):
    produce(settings, 1, 500)
    own_servers.redis.stop()
    own_servers.kafka.stop()
    with worker(settings) as supervisor:
        until(lambda: "waiting" in _log(settings), within_s=30, what="the worker to say that it waits")
        own_servers.kafka.start()
        own_servers.redis.start()
        caught_up(settings)
        assert supervisor.children[0].restarts == 0
    assert_exact(settings)


def test_servers_that_go_away_in_the_middle_cost_nothing(own_servers, settings):
    with worker(settings):
        produce(settings, 1, 500)
        caught_up(settings)
        own_servers.redis.stop()
        produce(settings, 1, 500)
        own_servers.redis.start()
        caught_up(settings)
        own_servers.kafka.stop()
        own_servers.kafka.start()
        produce(settings, 1, 500)
        caught_up(settings)
    assert_exact(settings)


@pytest.mark.parametrize(
    ("trouble", "relief"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    ],
    ids=["full", "read-only"],
)
def test_redis_that_takes_no_writes_is_waited_for(settings, trouble, relief):
    client = Redis.from_url(settings.redis)
    try:
        with worker(settings) as supervisor:
            produce(settings, 1, 300)
            caught_up(settings)
            client.execute_command(*trouble)
            produce(settings, 1, 300)
            until(lambda: "waiting" in _log(settings), within_s=20, what="the worker to say that it waits")
            client.execute_command(*relief)
            caught_up(settings)
            assert supervisor.children[0].restarts == 0
    finally:
        client.execute_command(*relief)
        client.close()
    assert_exact(settings)


def test_topic_that_is_not_stamped_by_the_broker_is_refused_with_the_remedy(settings):
    access = settings.access
    _delete_topics(access)
    admin = AdminClient(access.confluent())
    wrong = [NewTopic(name, 4, 1, config={"message.timestamp.type": "CreateTime"}) for name in TOPICS]
    for future in admin.create_topics(wrong).values():
        future.result(10)
    done = run(settings, "process")
    assert done.returncode == 2
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("fourfold: ")]
    assert "message.timestamp.type=CreateTime" in said
    assert "--add-config message.timestamp.type=LogAppendTime" in said


def test_records_that_retention_removed_are_counted_as_lost_and_said_loudly(settings):
    with worker(settings):
        produce(settings, 1, 500)
        caught_up(settings)
    seen = snapshot(settings)
    assert seen is not None
    source, position = max(seen.positions.items(), key=lambda item: item[1].next)
    produce(settings, 1, 500)
    admin = AdminClient(settings.access.confluent())
    limit = TopicPartition(source.topic, source.partition, position.next + 7)
    for future in admin.delete_records([limit]).values():
        future.result(10)
    with worker(settings, "later"):
        caught_up(settings)
    after = snapshot(settings)
    assert after is not None
    assert after.positions[source].lost == 7
    assert all(found.conserved for found in after.positions.values())
    said = _log(settings, "later")
    assert "retention passed the position" in said
    assert f"lost=7 partition={source}" in said.replace("\x1b[0m", "")


def test_topics_made_anew_under_a_worker_end_it_with_one_line(settings):
    with worker(settings) as supervisor:
        produce(settings, 1, 500)
        caught_up(settings)
        _delete_topics(settings.access)
        Topics(settings.access, SHOP.topics).ensure(partitions=4, retention_ms=-1)

        def gave_up() -> bool:
            supervisor.tick()
            return supervisor.children[0].state == "failed"

        until(gave_up, within_s=40, what="the worker to give up")
        assert "deleted and made anew" in supervisor.children[0].last_words()
        assert "FOURFOLD_NAMESPACE" in supervisor.children[0].last_words()


def test_topics_made_anew_before_a_worker_starts_are_refused(settings):
    with worker(settings):
        produce(settings, 1, 300)
        caught_up(settings)
    _delete_topics(settings.access)
    Topics(settings.access, SHOP.topics).ensure(partitions=4, retention_ms=-1)
    done = run(settings, "process")
    assert done.returncode == 2
    assert "counts a log that is gone" in done.stderr


def test_other_rules_for_a_view_that_was_begun_are_refused(settings):
    with worker(settings):
        produce(settings, 1, 300)
        caught_up(settings)
    done = run(settings.model_copy(update={"epoch_seconds": 7}), "process")
    assert done.returncode == 2
    assert "begun with epoch_ms=5000" in done.stderr


def test_view_lost_with_redis_is_counted_again_from_the_log(settings):
    client = Redis.from_url(settings.redis)
    with worker(settings) as supervisor:
        produce(settings, 1, 500)
        caught_up(settings)
        before = assert_exact(settings)
        client.flushdb()
        produce(settings, 1, 500)
        caught_up(settings)
        assert supervisor.children[0].restarts == 0
    assert assert_exact(settings).events > before.events
    client.close()


def test_producer_waits_for_kafka_and_flushes_on_sigterm(own_servers, settings):
    own_servers.kafka.stop()
    with worker(settings) as supervisor:
        producer = supervisor.start(
            "produce", ["produce", "--rate", "200"], settings.data_dir / "logs" / "produce.log", ends=True
        )
        own_servers.kafka.start()
        until(lambda: _counted(settings) > 100, within_s=40, what="events to be counted")
        assert producer.process is not None
        producer.process.send_signal(signal.SIGTERM)
        assert producer.process.wait(20) == 0
        caught_up(settings)
    assert "failed=0" in _log(settings, "produce")
    assert_exact(settings)
