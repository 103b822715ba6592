"""The log as Arrow columns: committed records between two offsets of each partition, as they came."""

# ruff: noqa: SLF001 - confluent-kafka names its own error codes with an underscore

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import groupby
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import pyarrow as pa
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from adapters.kafka.access import KafkaAccess
from adapters.kafka.bounds import bounds_of
from adapters.kafka.stamp import stamp_of
from adapters.kafka.trouble import PASSING, said
from core.errors import UnavailableError
from core.position import PartitionKey

#: `append_ms` is the broker's append time, 0 where it did not stamp the record.
COLUMNS: Final = pa.schema(
    [("offset", pa.int64()), ("append_ms", pa.int64()), ("key", pa.binary()), ("value", pa.binary())]
)
CHUNK: Final = 10_000
TIMEOUT_S: Final = 10.0


class OffsetGoneError(UnavailableError):
    """The log has not the offset that is read next: look at its bounds again."""


class Piece(NamedTuple):
    """Rows of `COLUMNS`, in offset order, perhaps none, and how far the partition is read with them."""

    source: PartitionKey
    rows: pa.RecordBatch
    next: int


class RawReader:
    """Reads spans of partitions as fast as one process can, outside any group."""

    def __init__(self, access: KafkaAccess, chunk: int = CHUNK) -> None:
        """`chunk`: how many records one `read` gives at most."""
        self._chunk = chunk
        self._consumer = Consumer(access.reading("fourfold-archive", auto_offset_reset="error"))
        self._left: dict[PartitionKey, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def bounds(self, sources: Iterable[PartitionKey]) -> dict[PartitionKey, tuple[int, int]]:
        """Each partition's first offset and end offset. Raises `UnavailableError`."""
        return bounds_of(self._consumer, sources)

    def begin(self, spans: Mapping[PartitionKey, tuple[int, int]]) -> None:
        """Reads these spans from now on, and forgets others: the first offset and the one after the last."""
        self._left = {source: end for source, (start, end) in spans.items() if start < end}
        self._consumer.assign([TopicPartition(*source, spans[source][0]) for source in self._left])

    @property
    def left(self) -> list[PartitionKey]:
        """The partitions that have not reached the end of their span."""
        return sorted(self._left)

    def read(self, timeout_s: float) -> list[Piece]:
        """What has arrived, one chunk at most; waits up to `timeout_s` for that.

        A partition has reached its end where the log goes on behind it, also when offsets before
        it hold control records or aborted ones. Raises `OffsetGoneError`, and `UnavailableError`
        where Kafka refuses (`ConfigurationError` where it always will); where it is away, nothing arrives.
        """
        messages = self._consumer.consume(self._chunk, timeout_s)
        ends: dict[PartitionKey, int] = {}
        if events := [message for message in messages if message.error() is not None]:
            messages = [message for message in messages if message.error() is None]
            ends = _ends(events)
        arrived: dict[PartitionKey, list[Message]] = {}
        for topic, of_topic in groupby(messages, Message.topic):
            for partition, run in groupby(of_topic, Message.partition):
                arrived.setdefault(PartitionKey(topic, partition), []).extend(run)
        return [
            self._piece(source, arrived.get(source, []), ends.get(source, 0))
            for source in arrived.keys() | ends.keys()
            if source in self._left
        ]

    def _piece(self, source: PartitionKey, messages: list[Message], log_end: int) -> Piece:
        end = self._left[source]
        offsets = list(map(Message.offset, messages))
        following = max(log_end, offsets[-1] + 1 if offsets else 0)
        if following >= end:
            offsets = offsets[: bisect_left(offsets, end)]
            messages = messages[: len(offsets)]
            following = end
            del self._left[source]
            self._consumer.pause([TopicPartition(*source)])
        rows = pa.record_batch(
            [
                pa.array(offsets, pa.int64()),
                pa.array(list(map(stamp_of, messages)), pa.int64()),
                pa.array(list(map(Message.key, messages)), pa.binary()),
                pa.array(list(map(Message.value, messages)), pa.binary()),
            ],
            schema=COLUMNS,
        )
        return Piece(source, rows, following)


def _ends(events: Iterable[Message]) -> dict[PartitionKey, int]:
    """Where the log ends of partitions that have no more records now; other events raise, or pass."""
    ends = {}
    for event in events:
        error: Any = event.error()
        source = PartitionKey(event.topic() or "", event.partition() or 0)
        if error.code() == KafkaError._PARTITION_EOF:
            ends[source] = event.offset()
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise OffsetGoneError(f"the log of {source} has not the next offset: {error.str()}")
        elif not error.retriable() and error.code() not in PASSING:
            raise said(error, f"Kafka gives no records of {source}")
    return ends
