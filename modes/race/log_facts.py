"""What the log of a race has: append times, bytes, and the users whose events count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from adapters.kafka.log import Entry, LogReader
from core.position import PartitionKey
from core.truth import HEADER, Claims
from modes.pipelines import pipeline_of
from modes.settings import Settings


@dataclass(slots=True)
class LogFacts:
    """`appended`: (partition, offset, append time in ms) of each record. `record_bytes`: keys, values and headers.

    `visits`: (partition, offset, user) of the records that a right pipeline accepts, by what their producer said.
    """

    appended: list[tuple[PartitionKey, int, int]] = field(default_factory=list)
    record_bytes: int = 0
    visits: list[tuple[PartitionKey, int, str]] = field(default_factory=list)

    @property
    def records(self) -> int:
        """How many."""
        return len(self.appended)

    def users(self, vector: Mapping[PartitionKey, int]) -> set[str]:
        """The users of the records below a vector."""
        return {user for source, offset, user in self.visits if offset < vector.get(source, 0)}


def facts_of(settings: Settings, sources: Sequence[PartitionKey]) -> LogFacts:
    """Reads the whole log. Raises `UnavailableError` where Kafka does not answer."""
    found = LogFacts()
    claims = Claims(pipeline_of(settings))
    with LogReader(settings.access, sources) as reader:
        for entry in reader.read_to_end():
            if not isinstance(entry, Entry):
                continue
            found.appended.append((entry.source, entry.offset, entry.append_ms))
            found.record_bytes += len(entry.key or b"") + len(entry.value or b"")
            found.record_bytes += sum(len(name) + len(value) for name, value in entry.headers)
            claimed = next((claims.decode(value) for name, value in entry.headers if name == HEADER), None)
            if claimed is not None and claimed.verdict != "rejected":
                found.visits.append((entry.source, entry.offset, claims.user(claimed)))
    return found
