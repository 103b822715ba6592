"""Fixtures that every kind of test may ask for."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from redis import Redis

from adapters.kafka.access import KafkaAccess
from adapters.kafka.topics import Topics
from core.events import DEAD_LETTERS, REPAIRS
from modes.settings import Settings
from tests.support import servers as test_servers
from tests.support.servers import Servers
from tests.support.shop import SHOP
from tests.support.shop_events import TOPICS
from tests.support.spent import SAID, SpentTime
from tests.support.waiting import until


def pytest_configure(config: pytest.Config) -> None:
    # what tests ask is on this machine; a download may need the proxy
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1,localhost,::1"]))
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        if os.environ[name].startswith("socks"):
            # httpx refuses it before it looks where a request goes
            del os.environ[name]
    config.pluginmanager.register(SpentTime(), "spent-time")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves long forms to `make soak`."""
    if os.environ.get("FOURFOLD_TEST_SOAK") == "1":
        return
    long = [item for item in items if item.get_closest_marker("soak")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from tests.support.schedule import Schedule

    return Schedule(config, log)


def pytest_report_header(config: pytest.Config) -> str:
    return f"fourfold: integration tests use {test_servers.kind()} servers"


@pytest.fixture(autouse=True)
def _no_foreign_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Settings of whoever runs the tests do not reach them."""
    for name in [n for n in os.environ if n.startswith("FOURFOLD_")]:
        if not name.startswith(("FOURFOLD_TEST_", "FOURFOLD_CHAOS_")):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _signals_as_they_were() -> Iterator[None]:
    """A role that a test runs in this process sets signals and leaves them."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def say(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Tells whoever runs the tests what was found: at once, or, from one process of several, with the test's report."""
    began = time.monotonic()
    lines: list[str] = []

    def show(text: str) -> None:
        line = f"[{time.monotonic() - began:6.1f}] {text}"
        if not hasattr(request.config, "workerinput"):
            with capsys.disabled():
                print(f"\n{line}", end="", flush=True)
            return
        # shown with a failure
        print(line)
        lines.append(line)
        request.node.user_properties[:] = [p for p in request.node.user_properties if p[0] != SAID]
        request.node.user_properties.append((SAID, "\n".join(lines)))

    return show


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A Kafka and a Redis, the same for all tests of a run."""
    with test_servers.started(tmp_path_factory.mktemp("servers")) as running:
        yield running


@pytest.fixture(scope="session")
def kafka_bootstrap(servers: Servers) -> str:
    return servers.kafka


@pytest.fixture
def access(servers: Servers) -> KafkaAccess:
    return KafkaAccess(servers.kafka)


@pytest.fixture
def fresh_topics(access: KafkaAccess) -> KafkaAccess:
    """Empty topics: what was there is deleted and made anew."""
    admin = AdminClient(access.confluent())
    names = [*TOPICS, DEAD_LETTERS, REPAIRS]
    for future in admin.delete_topics(names).values():
        try:
            future.result(10)
        except KafkaException as error:
            assert error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART
    until(lambda: not set(names) & set(admin.list_topics(timeout=5).topics), within_s=15, what="topics to go")
    Topics(access, SHOP.topics).ensure(partitions=4, retention_ms=-1)
    return access


@pytest.fixture
def settings(servers: Servers, fresh_topics: KafkaAccess, tmp_path: object) -> Settings:
    """Settings of a view of its own on empty topics."""
    name = f"t{uuid.uuid4().hex[:8]}"
    return Settings(
        mode="streaming",
        kafka=servers.kafka,
        redis=servers.redis,
        namespace=name,
        group=name,
        data_dir=tmp_path,
        _env_file=None,
    )


@pytest.fixture
def redis_client(servers: Servers) -> Iterator[Redis]:
    client = Redis.from_url(servers.redis)
    yield client
    client.close()
