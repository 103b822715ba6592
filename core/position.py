"""The position of one partition: how far it is counted, and what the fold remembers of it.

Stored beside the cells and compared as a whole string before each step (compare-and-set), so
that a step is applied once, whoever repeats it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Self


class PartitionKey(NamedTuple):
    """A partition of a topic. Text form: `topic:3`."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of `str`. Raises `ValueError`."""
        topic, partition = text.rsplit(":", 1)
        return cls(topic, int(partition))


class Position(NamedTuple):
    """All numbers are cumulative since `first`.

    Conservation: `next == first + accepted + duplicates + rejected + gaps + lost`.
    """

    #: The next offset to count.
    next: int = 0
    #: Running maximum of floor(append time / epoch length); -1 before the first record.
    epoch: int = -1
    #: The largest event time seen, in ms, never ahead of its append time.
    newest_ms: int = 0
    #: The append time in ms of the last record counted that the broker stamped.
    appended_ms: int = 0
    #: The first offset that was counted.
    first: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    #: Offsets without a record for us: control records, aborted or compacted ones.
    gaps: int = 0
    #: Offsets that retention removed before they were counted.
    lost: int = 0
    #: The offset of the record that `appended_ms` is of; -1 for none. Both together tell this log from another one.
    last: int = -1

    def encode(self) -> str:
        """Eleven integers, separated by commas."""
        return ",".join(map(str, self))

    @classmethod
    def decode(cls, text: str) -> Self:
        """The inverse of `encode`, also of older ones without `last`. Raises `ValueError` for anything else."""
        numbers = [int(part) for part in text.split(",")]
        if len(numbers) not in (len(cls._fields), len(cls._fields) - 1):
            raise ValueError(f"a position has {len(cls._fields)} numbers, this has {len(numbers)}")
        return cls(*numbers)

    @property
    def conserved(self) -> bool:
        """Whether every offset between `first` and `next` is accounted for."""
        counted = self.accepted + self.duplicates + self.rejected
        return self.next == self.first + counted + self.gaps + self.lost


Vector = dict[PartitionKey, int]


def covers(vector: Mapping[PartitionKey, int], other: Mapping[PartitionKey, int]) -> bool:
    """Whether every record below `other` is below `vector`."""
    return all(vector.get(source, 0) >= offset for source, offset in other.items())
