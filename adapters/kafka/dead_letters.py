"""Dead letters: rejected records on a topic of their own, with where they came from and why."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer

from adapters.kafka.access import KafkaAccess
from adapters.kafka.headers import MOST_DETAIL, DeadLetterHeaders, as_text, read, written
from adapters.kafka.log import Entry, LogReader
from adapters.kafka.trouble import said
from core.declaration.pipeline import Pipeline
from core.delta import DeadLetter
from core.errors import UnavailableError
from core.events import DEAD_LETTERS, DEAD_LETTERS_MAX_BYTES
from core.position import PartitionKey
from core.rfc3339 import to_text

log = structlog.get_logger(__name__)

ACK_LIMIT_S: Final = 10.0
#: The end of the year 9999: no date is later.
_LATEST_MS: Final = 253_402_300_799_999
#: What is kept of a value; the header `size` has its whole length.
KEPT_BYTES: Final = DEAD_LETTERS_MAX_BYTES - (64 << 10)
#: And of a key, in a header.
KEPT_KEY_BYTES: Final = 32 << 10
#: All letters are in this one, also where somebody adds partitions to the topic.
PARTITION: Final = 0
_KEY: Final = re.compile(r"(?P<topic>[a-z][a-z0-9_]*):(?P<partition>[0-9]{1,9}):(?P<offset>[0-9]{1,18})", re.ASCII)
_REFUSED: Final = "Kafka takes no dead letters"


class DeadLetterProducer:
    """Publishes dead letters; the key `topic:partition:offset` makes repetition harmless."""

    def __init__(self, access: KafkaAccess) -> None:
        config = access.confluent(
            enable_idempotence=True,
            compression_type="lz4",
            # in one request: `flush` waits for no more
            linger_ms=1_000,
            message_timeout_ms=int(ACK_LIMIT_S * 1000),
            message_max_bytes=DEAD_LETTERS_MAX_BYTES,
        )
        self._producer = Producer(config)
        self._failed: KafkaError | None = None

    async def publish(self, letters: Sequence[DeadLetter]) -> None:
        """Returns when the broker has acknowledged all.

        Raises `UnavailableError` otherwise, `ConfigurationError` where it never will.
        """
        await asyncio.to_thread(self.send, letters)

    def send(self, letters: Sequence[DeadLetter]) -> None:
        """As `publish`, in this thread."""
        self._failed = None
        for letter in letters:
            while True:
                try:
                    self._producer.produce(
                        DEAD_LETTERS,
                        partition=PARTITION,
                        key=f"{letter.source}:{letter.offset}",
                        # a record without a value would be a tombstone in a compacted topic
                        value=letter.value[:KEPT_BYTES] if letter.value is not None else b"",
                        headers=_headers(letter),
                        on_delivery=self._on_delivery,
                    )
                    break
                except BufferError:
                    self._producer.poll(0.1)
                except KafkaException as error:
                    raise said(error, _REFUSED) from error
        left = self._producer.flush(ACK_LIMIT_S + 1)
        if self._failed is not None:
            raise said(self._failed, _REFUSED)
        if left:
            raise UnavailableError(f"{_REFUSED}: no answer")

    def _on_delivery(self, error: KafkaError | None, _message: Any) -> None:
        if error is not None:
            self._failed = error


class FoundLetter(NamedTuple):
    """A dead letter as read back: where the record was, why it was rejected, its bytes.

    `size`: the length of the record's value as it was, of which `value` is the beginning.
    """

    source: PartitionKey
    offset: int
    append_ms: int
    reason: str
    detail: str
    value: bytes | None
    size: int = 0

    def about(self) -> dict[str, Any]:
        """Where the record was, and why it was rejected, as JSON."""
        return {
            "topic": self.source.topic,
            "partition": self.source.partition,
            "offset": self.offset,
            "appended": to_text(self.append_ms),
            "reason": self.reason,
            "detail": self.detail,
        }


class Letters(NamedTuple):
    """Dead letters, one for each record. `foreign`: how many records of somebody else were left out."""

    found: list[FoundLetter]
    foreign: int = 0


def read_dead_letters(access: KafkaAccess, pipeline: Pipeline, keep: int | None = None) -> Letters:
    """All dead letters, oldest first. `keep`: how many bytes of each value; None for all.

    Raises `UnavailableError` where Kafka does not answer.
    """
    letters = _letters(access, pipeline, {}, keep)
    if letters.foreign:
        log.warning("left out: no dead letters of Fourfold", topic=DEAD_LETTERS, records=letters.foreign)
    return letters


def newest_dead_letters(access: KafkaAccess, pipeline: Pipeline, limit: int, keep: int) -> Letters:
    """The newest dead letters, `limit` at most, the newest first, without reading all of them.

    `keep`: how many bytes of each value. `foreign` is of the records that were read. Raises `UnavailableError` where Kafka
    does not answer.
    """
    topic = PartitionKey(DEAD_LETTERS, PARTITION)
    with LogReader(access, [topic]) as reader:
        low, high = reader.bounds()[topic]
    start, wanted = high, limit
    letters = Letters([])
    # compaction leaves gaps, so a stretch of the log may hold less than was hoped for
    while start > low and len(letters.found) < limit:
        wanted *= 2
        start = max(low, high - wanted)
        letters = _letters(access, pipeline, {topic: start}, keep)
    return letters._replace(found=letters.found[::-1][:limit])


def _letters(access: KafkaAccess, pipeline: Pipeline, starts: dict[PartitionKey, int], keep: int | None) -> Letters:
    found: dict[bytes, FoundLetter] = {}
    foreign, reasons = 0, frozenset(pipeline.reasons)
    with LogReader(access, [PartitionKey(DEAD_LETTERS, PARTITION)], starts) as reader:
        for entry in reader.read_to_end():
            key = entry.key or b""
            try:
                place = _place(key, pipeline)
                if entry.value is None:
                    # a tombstone: compaction will take what was there before, too
                    found.pop(key, None)
                elif key not in found:
                    # a worker that was killed publishes again what it had published
                    found[key] = _letter(*place, entry, keep, reasons)
            except ValueError:
                foreign += 1
    return Letters(list(found.values()), foreign)


def _place(key: bytes, pipeline: Pipeline) -> tuple[PartitionKey, int]:
    """Which record a letter is of, by its key. Raises `ValueError` for another key."""
    place = _KEY.fullmatch(key.decode())
    if place is None or place["topic"] not in pipeline.streams:
        raise ValueError("no place in the log")
    return PartitionKey(place["topic"], int(place["partition"])), int(place["offset"])


def _letter(source: PartitionKey, offset: int, entry: Entry, keep: int | None, reasons: Collection[str]) -> FoundLetter:
    """Raises `ValueError` for a record that somebody else put there."""
    headers = read(DeadLetterHeaders, entry.headers)
    append_ms, size = int(headers.append_ms), int(headers.size)
    said = (headers.source_topic, int(headers.source_partition), int(headers.source_offset))
    if said != (*source, offset) or append_ms > _LATEST_MS or headers.reason not in reasons:
        raise ValueError("of another log")
    value = None if headers.null_value == "true" or entry.value is None else entry.value[:keep]
    return FoundLetter(source, offset, append_ms, headers.reason, headers.detail, value, size)


def _headers(letter: DeadLetter) -> list[tuple[str, bytes]]:
    return written(
        DeadLetterHeaders(
            reason=letter.reason,
            detail=letter.detail[:MOST_DETAIL].encode("utf-8", "replace").decode(),
            source_topic=letter.source.topic,
            source_partition=str(letter.source.partition),
            source_offset=str(letter.offset),
            append_ms=str(letter.append_ms),
            source_key=as_text((letter.key or b"")[:KEPT_KEY_BYTES]),
            size=str(len(letter.value or b"")),
            null_value="true" if letter.value is None else "false",
        )
    )
