"""The lock of Kafka's jars: which ones, and the SHA-256 of each. Run as a module, it is made anew.

    python -m adapters.embedded.jar_lock

The lock, not the Maven repository, decides what is run: a jar with another content is never on the class path.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adapters.embedded.version import Version

KAFKA: Final = Version(4, 3, 1)
LOCK_FILE: Final = Path(__file__).with_name("jars.lock")


@dataclass(frozen=True, slots=True)
class LockedJar:
    """One jar. sha256: of its content, in hexadecimal."""

    group: str
    artifact: str
    version: str
    sha256: str

    @classmethod
    def parse(cls, line: str) -> LockedJar:
        """From a line `sha256  group:artifact:version`."""
        sha256, coordinates = line.split()
        group, artifact, version = coordinates.split(":")
        return cls(group, artifact, version, sha256)

    def __str__(self) -> str:
        """The line of the lock file."""
        return f"{self.sha256}  {self.group}:{self.artifact}:{self.version}"

    @property
    def file_name(self) -> str:
        """Name of the jar's file."""
        return f"{self.artifact}-{self.version}.jar"

    def path_in(self, repository: Path) -> Path:
        """Where a Maven repository keeps it."""
        return repository.joinpath(*self.group.split("."), self.artifact, self.version, self.file_name)

    def matches(self, file: Path) -> bool:
        """Whether a file is there, can be read and has this content."""
        try:
            return sha256_of(file) == self.sha256
        except OSError:
            return False


def sha256_of(file: Path) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def read_lock() -> tuple[LockedJar, ...]:
    """All jars, in the order of the class path."""
    return tuple(map(LockedJar.parse, LOCK_FILE.read_text().splitlines()))


def make_lock() -> tuple[LockedJar, ...]:
    """Resolve Kafka with its dependencies, and the bridge from its logging interface to the log4j that it brings.

    Needs the network if the Maven repository does not have them all. jgo's errors are passed on.
    """
    from jgo.maven import Dependency, MavenContext  # noqa: PLC0415 - an optional dependency, slow to import

    context = MavenContext()
    kafka = context.project("org.apache.kafka", "kafka_2.13").at_version(str(KAFKA)).artifact()
    inputs, transitive = context.resolver.resolve([Dependency(kafka, scope="compile")])
    artifacts = [each.artifact for each in (*inputs, *transitive)]
    log4j = next(each.version for each in artifacts if each.artifactId == "log4j-core")
    # On its own: resolved together with Kafka, its parent's dependency management would take older jars for Kafka.
    artifacts.append(context.project("org.apache.logging.log4j", "log4j-slf4j-impl").at_version(log4j).artifact())
    return tuple(
        LockedJar(each.groupId, each.artifactId, each.version, sha256_of(each.resolve())) for each in artifacts
    )


if __name__ == "__main__":
    LOCK_FILE.write_text("".join(f"{jar}\n" for jar in make_lock()))
