"""The real servers: start, crash, come back, stop."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

import adapters
from adapters.embedded import Addresses, EmbeddedServers
from adapters.embedded.jar_lock import make_lock, read_lock
from adapters.embedded.jars import Jars
from adapters.embedded.kafka import cluster_id
from adapters.embedded.process import ProcessIdentity, living_in
from adapters.embedded.waiting import wait_until
from core.errors import UnavailableError
from tests.support.busy import allowed

pytestmark = [pytest.mark.integration, pytest.mark.own_servers]

ROOT = Path(adapters.__file__).parents[1]
BOUND_S = 60.0
TOPIC = "letters"


@pytest.fixture
def servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedServers]:
    # Meant for other programs: with any of them a Java that takes it does not start.
    for name in ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"):
        monkeypatch.setenv(name, "-XX:+UseG1GC -javaagent:/nowhere.jar")
    # A name that would break an unquoted path, a list of paths, or a program in the C locale.
    servers = EmbeddedServers(tmp_path / "dätä, dir")
    yield servers
    servers.stop()
    assert left_over(servers) == []


def left_over(servers: EmbeddedServers) -> list[ProcessIdentity]:
    return [*living_in(servers.kafka.home, "java"), *living_in(servers.redis.home, "redis")]


def produce(address: str, *values: str) -> None:
    admin = AdminClient({"bootstrap.servers": address})
    if TOPIC not in admin.list_topics(timeout=BOUND_S).topics:
        admin.create_topics([NewTopic(TOPIC, 1, 1)])[TOPIC].result(BOUND_S)
    failures: list[object] = []

    def delivered(error: object, message: Message) -> None:
        del message
        if error:
            failures.append(error)

    producer = Producer({"bootstrap.servers": address, "acks": "all"})
    for value in values:
        producer.produce(TOPIC, value.encode(), on_delivery=delivered)
    assert producer.flush(BOUND_S) == 0
    assert failures == []


def consume(address: str, count: int) -> list[str]:
    consumer = Consumer({"bootstrap.servers": address, "group.id": "test", "enable.auto.commit": False})
    consumer.assign([TopicPartition(TOPIC, 0, 0)])
    try:
        messages = consumer.consume(count, BOUND_S)
        return [(message.value() or b"").decode() for message in messages]
    finally:
        consumer.close()


def in_another_process(script: str, *arguments: str) -> subprocess.Popen[str]:
    code = "import json, os, sys\nfrom pathlib import Path\nfrom adapters.embedded import EmbeddedServers\n"
    code += "servers = EmbeddedServers(Path(sys.argv[1]))\n" + script
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


#: The append-only file of a Redis 6.2.14 (compressed, base 85): a hash and a sorted set as it packs small ones, a hash
#: with a long value, a sketch of two users and a string; then 4 added to a field that was 3.
WRITTEN_BY_6_2 = (
    b"c-jkcb@2=~Ffg$E#aWb^l3A=<mRiJSre~yQX!45-B9fF@QhdPS7i)4!W^U>swkw?3zc@;ZQ&V(vQ*#eV1oJWc;z`U;(=8}UP0UTo"
    b"Nj<>$kKs2f1A}OFnW1hDP$(s_)(WV;sMyNV%22{1(#MC90S+2cHnsTf?(ps7MNyxenv(-oudEDIBn!kW3=C|^Iho1X#T;Ll*o#uj"
    b"Qu9hvIX|>t6Z+4>oRpc)$e4DR)4`3gtn7g$1CZnqLN+h8AU`>ySW*&bkQl@;W}xA$znFkjA?vUI41(!J`K1L`NP3tPlal}cX{o;*"
    b"(PFk#%ZQgt#f+CL*wx3?IRwZy<mEEp<<c?%GR=9pJUsoJgPbCP93!9vR*yjRLwo?y57Y|)`+9M9"
)


def directory_of(servers: EmbeddedServers) -> str:
    return str(servers.kafka.home.parent)


def test_start_use_kill_and_stop(servers: EmbeddedServers) -> None:
    addresses = servers.start()
    assert servers.running() == addresses
    assert [(each.name, each.healthy) for each in servers.status()] == [("kafka", True), ("redis", True)]
    produce(addresses.kafka, "a", "b")
    client = redis.Redis.from_url(addresses.redis)
    client.set("key", "value")

    servers.kafka.kill()
    servers.redis.kill()
    assert servers.running() is None
    assert [(each.pid, each.healthy) for each in servers.status()] == [(None, False), (None, False)]
    assert Addresses(servers.kafka.start(), servers.redis.start()) == addresses
    produce(addresses.kafka, "c")
    assert consume(addresses.kafka, 3) == ["a", "b", "c"]
    assert client.get("key") == b"value"

    begin = time.monotonic()
    servers.stop()
    assert time.monotonic() - begin < allowed(5)
    assert servers.running() is None

    assert servers.start() == addresses
    assert consume(addresses.kafka, 3) == ["a", "b", "c"]
    assert client.get("key") == b"value"
    assert servers.kafka.healthy()
    client.close()


def test_torn_append_only_file_is_mended(servers: EmbeddedServers) -> None:
    with redis.Redis.from_url(servers.redis.start()) as client:
        client.set("whole", "1")
    servers.redis.kill()
    newest = max(servers.redis.home.rglob("*.aof"), key=lambda file: (file.name.endswith("incr.aof"), file.name))
    with newest.open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$4\r\ntorn\r\n$100\r\nhalf of")
    with redis.Redis.from_url(servers.redis.start()) as client:
        assert client.get("whole") == b"1"
        assert client.exists("torn") == 0
        client.set("after", "2")
    servers.redis.kill()
    with redis.Redis.from_url(servers.redis.start()) as client:
        assert client.get("after") == b"2"


def test_data_of_an_earlier_redis_are_taken_over(servers: EmbeddedServers) -> None:
    home = servers.redis.home
    home.mkdir(parents=True)
    (home / "appendonly.aof").write_bytes(zlib.decompress(base64.b85decode(WRITTEN_BY_6_2)))
    (home / "written-by").write_text("6.2.14\n")
    for _ in range(2):
        with redis.Redis.from_url(servers.redis.start(), decode_responses=True) as client:
            assert client.hgetall("{v1-lambda}:cells:9:1") == {"clicks": "7", "revenue": "1234567"}
            assert client.zrange("{v1-lambda}:epochs", 0, -1, withscores=True) == [("9:1", 9.0), ("9:q", 9.0)]
            assert client.pfcount("{v1-lambda}:users:9:1") == 2
            assert client.hget("big", "f") == "v" * 70
            assert client.get("group:{v1-lambda}") == "abc"
        servers.redis.kill()
    # what took them over is on record: an older Redis would see nothing, and begin again
    assert servers.redis.writer() == servers.redis.version


def test_two_starts_at_once_share_one_pair_of_servers(servers: EmbeddedServers) -> None:
    script = "a = servers.start(detached=True); print(json.dumps([a.kafka, a.redis]))"
    both = [in_another_process(script, directory_of(servers)) for _ in range(2)]
    outputs = [each.communicate(timeout=2 * BOUND_S)[0] for each in both]
    first, second = (Addresses(*json.loads(output)) for output in outputs)
    assert first == second == servers.running()
    assert len(left_over(servers)) == 2
    assert all(each.healthy for each in servers.status())
    begin = time.monotonic()
    servers.stop()
    assert time.monotonic() - begin < allowed(5)


def test_owned_servers_die_with_a_killed_owner_and_start_again(servers: EmbeddedServers) -> None:
    script = "a = servers.start(); print(json.dumps([a.kafka, a.redis]), flush=True); os.kill(os.getpid(), 9)"
    owner = in_another_process(script, directory_of(servers))
    output, _ = owner.communicate(timeout=2 * BOUND_S)
    assert owner.returncode == -signal.SIGKILL
    # At once: the servers are still ending, and must not be taken for running ones.
    assert servers.start() == Addresses(*json.loads(output))
    assert len(left_over(servers)) == 2
    assert all(each.healthy for each in servers.status())


def test_owned_servers_do_not_die_with_the_thread_that_started_them(servers: EmbeddedServers) -> None:
    thread = threading.Thread(target=servers.redis.start)
    thread.start()
    thread.join(BOUND_S)
    assert servers.redis.healthy()


def test_only_the_one_who_started_closes(servers: EmbeddedServers) -> None:
    servers.redis.start()
    with EmbeddedServers(servers.redis.home.parent) as other:
        assert other.running() is not None
    assert servers.redis.healthy()
    assert not servers.kafka.healthy()


def test_a_lost_state_file_leaves_no_second_server(servers: EmbeddedServers) -> None:
    servers.redis.start()
    (first,) = living_in(servers.redis.home, "redis")
    (servers.redis.home.parent / "state.json").unlink()
    servers.redis.start()
    assert not first.alive()
    assert len(living_in(servers.redis.home, "redis")) == 1


def test_a_stopped_server_that_does_not_listen_is_killed_in_time(servers: EmbeddedServers) -> None:
    servers.redis.start()
    process = servers.redis.process()
    assert process is not None
    process.send(signal.SIGSTOP)
    begin = time.monotonic()
    assert not servers.redis.healthy(0.2)
    servers.redis.stop()
    assert time.monotonic() - begin < allowed(5)
    assert not process.alive()


def test_death_at_start_shows_the_last_error(servers: EmbeddedServers) -> None:
    servers.kafka.start()
    servers.kafka.stop()
    meta = servers.kafka.home / "data" / "meta.properties"
    meta.write_text(meta.read_text().replace("node.id=1", "node.id=7"))
    with pytest.raises(UnavailableError, match=r"Kafka ended while it was starting: .*node.*\(log: .*kafka\.log\)"):
        servers.start()
    assert left_over(servers) == []


def test_an_interrupted_format_is_made_again(servers: EmbeddedServers) -> None:
    half = servers.kafka.home / "data.formatting"
    half.mkdir(parents=True)
    (half / "bootstrap.checkpoint").write_bytes(b"half")
    servers.kafka.start()
    assert not half.exists()


def test_a_cluster_id_may_begin_with_a_dash(tmp_path: Path) -> None:
    places = (tmp_path / str(number) for number in range(10_000))
    home = next(place for place in places if cluster_id(place / "kafka").startswith("-"))
    with EmbeddedServers(home, with_redis=False) as servers:
        assert servers.kafka.healthy()


def test_jars_from_an_empty_repository_and_then_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    repository = tmp_path / "repository"
    found = Jars(tmp_path / "cache", said.append, repository).class_path()
    assert len(found) == len(read_lock())
    assert len(said) == len(found) + 1

    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    begin = time.monotonic()
    assert Jars(tmp_path / "cache", said.append, repository).class_path() == found
    assert time.monotonic() - begin < allowed(0.3)
    # Nothing remembered: verified again, still without a download.
    shutil.rmtree(tmp_path / "cache")
    assert Jars(tmp_path / "cache", said.append, repository).class_path() == found
    # A torn jar is noticed.
    found[0].write_bytes(b"torn")
    with pytest.raises(UnavailableError, match="cannot be downloaded"):
        Jars(tmp_path / "cache", said.append, repository).class_path()


def test_the_lock_is_what_kafka_asks_for() -> None:
    assert make_lock() == read_lock()


def test_nothing_runs_after_the_owner_ends_in_order(servers: EmbeddedServers) -> None:
    owner = in_another_process("servers.start()", directory_of(servers))
    owner.communicate(timeout=2 * BOUND_S)
    assert owner.returncode == 0
    assert wait_until(lambda: left_over(servers) == [], 5)
