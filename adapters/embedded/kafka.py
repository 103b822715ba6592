"""The embedded Kafka."""

from __future__ import annotations

import base64
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from adapters.embedded import log_tail, ports
from adapters.embedded.directory import DataDirectory
from adapters.embedded.jar_lock import KAFKA
from adapters.embedded.jars import Jars
from adapters.embedded.java import Java
from adapters.embedded.kafka_config import DATA, logging_properties, server_properties
from adapters.embedded.process import ProcessIdentity
from adapters.embedded.server import EmbeddedServer, Progress
from adapters.embedded.surroundings import server_environment
from adapters.embedded.version import Version
from core.errors import UnavailableError

_FORMATTING: Final = "data.formatting"


class EmbeddedKafka(EmbeddedServer):
    """One process that is broker and controller (KRaft), with plain listeners on 127.0.0.1."""

    name: ClassVar[str] = "kafka"
    label: ClassVar[str] = "Kafka"
    program: ClassVar[str] = "java"
    port_count: ClassVar[int] = 2

    def __init__(
        self,
        directory: DataDirectory,
        port: int | None,
        progress: Progress,
        *,
        cache: Path,
        spare: Path | None = None,
        java_options: Sequence[str] = (),
    ) -> None:
        """Nothing is touched yet.

        cache: directory for what all data directories of a user share. spare: for jars where the user's Maven repository
        takes none, by default in the data directory. java_options: added to the server's.
        """
        super().__init__(directory, port, progress)
        # Only what the JVM itself says: the broker's log rolls over by itself.
        self.console = directory.logs / "kafka.console.log"
        self._jars = Jars(cache, progress, spare=spare or directory.root / "maven")
        self._cache = cache
        self._options = tuple(java_options)

    @property
    def version(self) -> Version:
        """Version of the jars in the lock."""
        return KAFKA

    def address_at(self, port: int) -> str:
        """As in `bootstrap.servers`."""
        return f"{ports.HOST}:{port}"

    def java(self) -> Java:
        """How Kafka's classes are run. Downloads the jars if needed; errors as `Jars.class_path`."""
        return Java(self._jars.class_path(), self._cache)

    def prepare(self, listen_on: tuple[int, ...]) -> list[str]:
        """Fetch the jars, write the configuration, format the storage if there is none.

        Raises UnavailableError (no download, no format) and ConfigurationError (no Java, no jgo).
        """
        port, controller_port = listen_on
        java = self.java()
        (self.home / "log4j2.properties").write_text(logging_properties())
        (self.home / "server.properties").write_text(server_properties(port, controller_port))
        logging = "-Dlog4j2.configurationFile=log4j2.properties"
        if not (self.home / DATA).exists():
            self._format(java, logging, server_properties(port, controller_port, data=_FORMATTING))
        return java.command("kafka.Kafka", ["server.properties"], [logging, *self._options])

    def answers(self, port: int, process: ProcessIdentity, bound_s: float) -> bool:
        """Whether it gives its metadata and knows itself as a broker that is not fenced."""
        del process
        # The client would try again until its time is over, so it is asked only when something listens.
        if not ports.accepts(port, bound_s):
            return False
        client = AdminClient({"bootstrap.servers": self.address_at(port), "log_level": 0})
        try:
            # A broker that the controller has fenced answers too, but names no brokers.
            return bool(client.list_topics(timeout=bound_s).brokers)
        except KafkaException:
            return False

    def _format(self, java: Java, logging: str, properties: str) -> None:
        """Format the storage beside its place and then move it there: a format that was interrupted leaves nothing."""
        self._progress(f"Kafka {self.version}: formatting {self.home / DATA}")
        shutil.rmtree(self.home / _FORMATTING, ignore_errors=True)
        config = self.home / "format.properties"
        config.write_text(properties)
        command = java.command(
            "kafka.tools.StorageTool", ["format", f"--cluster-id={cluster_id(self.home)}", "-c", config.name], [logging]
        )
        before = log_tail.size(self.console)
        with self.console.open("ab") as console:
            result = subprocess.run(  # noqa: S603 - a command built by this package, no shell
                command, cwd=self.home, env=server_environment(), stdout=console, stderr=console, check=False
            )
        if result.returncode:
            complaint = log_tail.last_complaint([(self.console, before)]) or f"exit code {result.returncode}"
            raise UnavailableError(
                f"Kafka's storage in {self.home} cannot be formatted: {complaint} (log: {self.console})"
            )
        (self.home / _FORMATTING).rename(self.home / DATA)
        config.unlink()


def cluster_id(home: Path) -> str:
    """A cluster id as Kafka wants it (16 bytes in base64), the same for the same directory. May begin with a dash."""
    return base64.urlsafe_b64encode(uuid.uuid5(uuid.NAMESPACE_URL, home.as_uri()).bytes).decode().rstrip("=")
