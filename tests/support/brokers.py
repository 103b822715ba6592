"""A Kafka of several brokers from the product's jars, each of which can be killed and started again."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from adapters.embedded import kafka_config
from adapters.embedded.jars import Jars
from adapters.embedded.java import Java
from adapters.embedded.ports import HOST, free_ports
from adapters.embedded.process import ProcessIdentity
from adapters.embedded.servers import DEFAULT_CACHE
from adapters.embedded.spawner import spawn
from tests.support.waiting import until

#: Several of them run side by side, beside the tests of others.
_HEAP: Final = "-Xmx256m"
_LOGGING: Final = "-Dlog4j2.configurationFile=log4j2.properties"
_PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_NONE: Final[Mapping[str, str]] = {}
_CLUSTER_ID: Final = "MkU3OEVBNTcwNTJENDM2Qk"
START_BOUND_S: Final = 90.0
STOP_BOUND_S: Final = 20.0
#: How long the controller misses a broker before others lead its partitions: Kafka's own default.
SESSION_S: Final = 9.0


class Brokers:
    """Brokers that are controllers too (KRaft), numbered from 1. A context manager: stopped at the end."""

    def __init__(
        self,
        directory: Path,
        count: int = 3,
        advertised: Callable[[int], str] = lambda port: f"{HOST}:{port}",
        protocols: Sequence[str] = (),
        session_s: float = SESSION_S,
        properties: Mapping[str, str] = _NONE,
    ) -> None:
        """`advertised`: how a broker that listens on a port names itself. `protocols`: of more listeners.

        `properties`: of each broker, before those that are usual here.
        """
        self._homes = {number: directory / str(number) / "home" for number in range(1, count + 1)}
        self._processes: dict[int, ProcessIdentity] = {}
        found = iter(free_ports((2 + len(protocols)) * count, str(directory)))
        self._ports = dict(zip(self._homes, found, strict=False))
        controllers = dict(zip(self._homes, found, strict=False))
        self._others = {protocol: dict(zip(self._homes, found, strict=False)) for protocol in protocols}
        cache = DEFAULT_CACHE.expanduser()
        self._java = Java(Jars(cache, lambda _: None).class_path(), cache)
        voters = ",".join(f"{number}@{HOST}:{port}" for number, port in controllers.items())
        for number, home in self._homes.items():
            others = "".join(f",{name}://{HOST}:{ports[number]}" for name, ports in self._others.items())
            listeners = f"PLAINTEXT://{HOST}:{self._ports[number]},CONTROLLER://{HOST}:{controllers[number]}{others}"
            named = f"PLAINTEXT://{advertised(self._ports[number])}{others}"
            self._prepare(
                home,
                kafka_config._FIXED
                | _replicated(count, session_s)
                | {
                    "node.id": str(number),
                    "listeners": listeners,
                    "advertised.listeners": named,
                    "listener.security.protocol.map": ",".join(
                        f"{name}:{protocol}"
                        for name, protocol in [("CONTROLLER", "PLAINTEXT"), *((p, p) for p in _PROTOCOLS)]
                    ),
                    "controller.quorum.voters": voters,
                    "log.dirs": "data",
                }
                | dict(properties),
            )

    @property
    def numbers(self) -> list[int]:
        """The brokers' numbers."""
        return list(self._homes)

    @property
    def bootstrap(self) -> str:
        """All addresses, comma separated."""
        return ",".join(f"{HOST}:{port}" for port in self._ports.values())

    def address(self, number: int, protocol: str = "PLAINTEXT") -> str:
        """Where a broker listens."""
        ports = self._ports if protocol == "PLAINTEXT" else self._others[protocol]
        return f"{HOST}:{ports[number]}"

    def launch(self, number: int) -> None:
        """Starts a broker, and does not wait for it."""
        home = self._homes[number]
        command = self._java.command("kafka.Kafka", ["server.properties"], [_LOGGING, _HEAP])
        self._processes[number] = spawn(command, home=home, console=home.parent / "console.log", owned=True)

    def kill(self, number: int) -> None:
        """kill -9; returns when it is gone."""
        self._end(number, signal.SIGKILL)

    def stop(self, number: int) -> None:
        """SIGTERM: it gives its leaderships away first. Returns when it is gone."""
        self._end(number, signal.SIGTERM)

    def freeze(self, number: int) -> None:
        """SIGSTOP: its connections stay open and nobody answers."""
        self._processes[number].send(signal.SIGSTOP)

    def thaw(self, number: int) -> None:
        """SIGCONT."""
        self._processes[number].send(signal.SIGCONT)

    def await_all(self) -> None:
        """Returns when every broker is in the cluster."""
        until(lambda: len(self._seen()) == len(self._homes), within_s=START_BOUND_S, what="all brokers", every_s=0.3)

    def admin(self) -> AdminClient:
        """A new client."""
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

    def leaders(self, topic: str) -> Mapping[int, int]:
        """The leader of each partition of a topic, as some broker knows it."""
        found = self.admin().list_topics(topic, timeout=10).topics[topic].partitions
        return {number: partition.leader for number, partition in found.items()}

    def in_sync(self) -> bool:
        """Whether every partition has all its replicas."""
        try:
            topics = self.admin().list_topics(timeout=3).topics.values()
        except KafkaException:
            return False
        partitions = [partition for topic in topics for partition in topic.partitions.values()]
        return bool(partitions) and all(len(each.isrs) == len(each.replicas) for each in partitions)

    def __enter__(self) -> Self:
        for number in self._homes:
            self.launch(number)
        try:
            self.await_all()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends all of them at once: nobody waits for their data."""
        for number in list(self._processes):
            self._end(number, signal.SIGKILL)

    def _seen(self) -> Mapping[int, object]:
        try:
            found: Mapping[int, object] = self.admin().list_topics(timeout=3).brokers
        except KafkaException:
            return {}
        return found

    def _end(self, number: int, how: signal.Signals) -> None:
        process = self._processes.pop(number)
        process.send(how)
        until(lambda: not process.alive(), within_s=STOP_BOUND_S, what=f"the end of broker {number}")

    def _prepare(self, home: Path, properties: Mapping[str, str]) -> None:
        home.mkdir(parents=True)
        (home.parent / "logs").mkdir()
        (home / "log4j2.properties").write_text(kafka_config.logging_properties())
        (home / "server.properties").write_text(kafka_config._render(properties))
        arguments = ["format", f"--cluster-id={_CLUSTER_ID}", "-c", "server.properties"]
        command = self._java.command("kafka.tools.StorageTool", arguments, [_LOGGING])
        subprocess.run(command, cwd=home, check=True, capture_output=True)


def _replicated(count: int, session_s: float) -> dict[str, str]:
    least = str(max(1, count - 1))
    return {
        "default.replication.factor": str(count),
        "min.insync.replicas": least,
        "offsets.topic.replication.factor": str(count),
        "transaction.state.log.replication.factor": str(count),
        "transaction.state.log.min.isr": least,
        "share.coordinator.state.topic.replication.factor": str(count),
        "broker.session.timeout.ms": str(int(session_s * 1000)),
        "broker.heartbeat.interval.ms": str(int(session_s * 200)),
    }
