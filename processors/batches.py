"""What the transport hands to the agent: stretches of the log, one per partition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from core.partition import Record
from core.position import PartitionKey


class RecordBatch(Protocol):
    """A record batch as the broker stores it: parsed when it is gone through, once."""

    @property
    def base_offset(self) -> int:
        """The offset of its first record."""

    @property
    def next_offset(self) -> int:
        """The offset behind its last record."""

    def __iter__(self) -> Iterator[Record]: ...


class Stretch:
    """The record batches of one partition from offset `start` on, in order.

    `len` is the number of offsets that they cover, `most` at the most; parsing tells how many
    records there are.
    """

    def __init__(self, start: int, most: int | None = None, batches: Iterable[RecordBatch] = ()) -> None:
        self._start = start
        self._most = most
        self._batches: list[RecordBatch] = []
        self._offsets = 0
        for batch in batches:
            self.add(batch)

    def add(self, batch: RecordBatch) -> None:
        """The next batch."""
        self._batches.append(batch)
        self._offsets += batch.next_offset - batch.base_offset

    def __len__(self) -> int:
        return self._offsets if self._most is None else min(self._offsets, self._most)

    def slices(self, size: int) -> Iterator[list[Record]]:
        """The records from `start` on, in lists of about `size`. Once only."""
        records: list[Record] = []
        for batch in self._batches:
            if batch.base_offset < self._start:
                # a batch that was sent whole although reading starts inside of it
                records.extend(record for record in batch if record.offset >= self._start)
            else:
                records.extend(batch)
            if len(records) >= size:
                yield records
                records = []
        if records:
            yield records


class Batch(NamedTuple):
    """The stretch [`base`, `end`) of one partition's log.

    `base` is the offset at which the stretch before it ended, None where none is known. It is not
    that of the first record: control records and compaction leave gaps.
    """

    source: PartitionKey
    base: int | None
    stretch: Stretch
    end: int


class Fetched(NamedTuple):
    """One poll. `generation` numbers the seeks; what was fetched before the last one is stale."""

    generation: int
    batches: Sequence[Batch]
