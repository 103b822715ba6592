"""The log as a plain reader sees it: committed records with offsets, append times and headers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from adapters.kafka.access import KafkaAccess
from adapters.kafka.bounds import bounds_of
from adapters.kafka.leaders import asked_of_leaders
from adapters.kafka.stamp import stamp_of
from adapters.kafka.trouble import PASSING, said
from core.errors import FourfoldError, UnavailableError
from core.position import PartitionKey

CHUNK: Final = 10_000
TIMEOUT_S: Final = 10.0
#: A follower is answered when there are this many bytes, or after `fetch.wait.max.ms`: an answer for each record that comes
#: took a sixth of a core of the broker at 300 events/s.
FOLLOWED_BYTES: Final = 1 << 16


class Entry(NamedTuple):
    """One record of the log. `append_ms` is the broker's append time."""

    source: PartitionKey
    offset: int
    append_ms: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class End(NamedTuple):
    """The end of a partition was reached; `offset` is the next one that will be written."""

    source: PartitionKey
    offset: int


class LogReader:
    """Reads given partitions, from given offsets or from the log's start, outside any group."""

    def __init__(
        self,
        access: KafkaAccess,
        sources: Iterable[PartitionKey],
        start: Mapping[PartitionKey, int] | None = None,
        clock: Callable[[], float] = time.monotonic,
        follows: bool = False,
    ) -> None:
        """`follows`: stays at the log's end, where it need not have each record at once."""
        self._clock = clock
        at_once = {"fetch_min_bytes": FOLLOWED_BYTES} if follows else {}
        self._consumer = Consumer(access.reading("fourfold-reader", auto_offset_reset="earliest", **at_once))
        self.sources = list(sources)
        begin = start or {}
        self._consumer.assign([TopicPartition(*s, begin.get(s, -2)) for s in self.sources])

    def add(self, sources: Iterable[PartitionKey]) -> dict[PartitionKey, tuple[int, int]]:
        """Reads these partitions too, from the log's start; their bounds. Raises `UnavailableError`."""
        added = list(sources)
        bounds = bounds_of(self._consumer, added)
        try:
            self._consumer.incremental_assign([TopicPartition(*source, -2) for source in added])
        except KafkaException as error:
            raise UnavailableError(f"Kafka does not answer: {error.args[0].str()}") from error
        self.sources += added
        return bounds

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection."""
        self._consumer.close()

    def bounds(self) -> dict[PartitionKey, tuple[int, int]]:
        """Each partition's first offset and end offset. Raises `UnavailableError`."""
        return bounds_of(self._consumer, self.sources)

    def read_to_end(self, quiet_s: float = TIMEOUT_S) -> Iterator[Entry]:
        """All entries up to the end that each partition has when it is reached.

        Raises `UnavailableError` where nothing arrives for `quiet_s` seconds before that.
        """
        left = set(self.sources)
        last = self._clock()
        while left:
            got = self.read(0.5)
            now = self._clock()
            if got:
                last = now
            elif now - last > quiet_s:
                raise UnavailableError(f"Kafka gives no records of {min(left)} for {quiet_s:g} s")
            for entry in got:
                if isinstance(entry, Entry):
                    yield entry
                else:
                    left.discard(entry.source)

    def answers(self, timeout_s: float) -> bool:
        """Whether Kafka answers a request within `timeout_s`."""
        first = TopicPartition(*self.sources[0])
        try:
            asked_of_leaders(self._consumer, lambda s: self._consumer.get_watermark_offsets(first, s), timeout_s)
        except FourfoldError:
            return False
        return True

    def cached_ends(self) -> dict[PartitionKey, int]:
        """The end of each partition as the last fetch saw it; 0 before the first one."""
        ends = {}
        for source in self.sources:
            bounds = self._consumer.get_watermark_offsets(TopicPartition(*source), cached=True)
            ends[source] = max(0, bounds[1]) if bounds else 0
        return ends

    def read(self, timeout_s: float) -> list[Entry | End]:
        """What has arrived, about `CHUNK` entries at most; waits up to `timeout_s` for the first.

        Raises `UnavailableError` where Kafka refuses, `ConfigurationError` where it always will;
        where it is away, nothing arrives.
        """
        got: list[Entry | End] = []
        first = self._consumer.consume(1, timeout_s)
        # the rest of what has arrived, without waiting for a full chunk
        for message in first + (self._consumer.consume(CHUNK, 0) if first else []):
            source = PartitionKey(message.topic() or "", message.partition() or 0)
            error: Any = message.error()
            if error is None:
                got.append(
                    Entry(
                        source,
                        message.offset() or 0,
                        stamp_of(message),
                        message.key(),
                        message.value(),
                        _headers(message),
                    )
                )
            elif error.code() == KafkaError._PARTITION_EOF:
                got.append(End(source, message.offset() or 0))
            elif not error.retriable() and error.code() not in PASSING:
                raise said(error, f"Kafka gives no records of {source}")
        return got


def _headers(message: Message) -> Sequence[tuple[str, bytes]]:
    """None at all where a name is no UTF-8: the client cannot tell them."""
    try:
        found = message.headers()
        # the client returns a list with holes then, and leaves its error to whatever is called next
        object()
    except (UnicodeDecodeError, SystemError):
        return ()
    return found or ()
