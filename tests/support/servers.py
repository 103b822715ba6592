"""A real Kafka and a real Redis for integration tests: containers, or the embedded ones."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from adapters.embedded.servers import EmbeddedServers

KAFKA_IMAGE = "apache/kafka:4.3.1"
REDIS_IMAGE = "redis:8"
VARIABLE = "FOURFOLD_TEST_SERVERS"


@dataclass(frozen=True)
class Servers:
    """Addresses, and which kind they are."""

    kafka: str
    redis: str
    kind: str


def kind() -> str:
    """`containers` where a Docker engine answers, else `embedded`; the environment decides first."""
    wanted = os.environ.get(VARIABLE, "")
    if wanted in ("containers", "embedded"):
        return wanted
    return "containers" if _docker_answers() else "embedded"


@contextmanager
def started(data_dir: Path) -> Iterator[Servers]:
    """Servers of the chosen kind, stopped at the end."""
    if kind() == "containers":
        with _containers() as servers:
            yield servers
    else:
        with EmbeddedServers(data_dir) as embedded:
            addresses = embedded.running()
            assert addresses is not None
            yield Servers(addresses.kafka, addresses.redis, "embedded")


@contextmanager
def _containers() -> Iterator[Servers]:
    # there may be no image for the reaper; the containers are stopped below
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    from testcontainers.community.redis import RedisContainer
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    port = free_port()
    environment = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENERS": "HOST://:9092,BROKER://:9094,CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"HOST://127.0.0.1:{port},BROKER://localhost:9094",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "BROKER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "HOST:PLAINTEXT,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        # nothing here runs long enough to earn what the second compiler costs
        "KAFKA_JVM_PERFORMANCE_OPTS": "-server -XX:+UseSerialGC -XX:TieredStopAtLevel=1",
        "KAFKA_HEAP_OPTS": "-Xms256m -Xmx512m",
    }
    label = {"fourfold.test-run": os.environ.get("FOURFOLD_TEST_RUN", "")}
    kafka = DockerContainer(KAFKA_IMAGE).with_bind_ports(9092, port).with_kwargs(labels=label)
    for name, value in environment.items():
        kafka = kafka.with_env(name, value)
    kafka = kafka.waiting_for(LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(90))
    with kafka, RedisContainer(REDIS_IMAGE).with_kwargs(labels=label) as redis:
        host, redis_port = redis.get_container_host_ip(), redis.get_exposed_port(6379)
        yield Servers(f"127.0.0.1:{port}", f"redis://{host}:{redis_port}/0", "containers")


def _docker_answers() -> bool:
    try:
        done = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"],
            capture_output=True,
            timeout=15,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
