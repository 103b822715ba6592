"""Dead letters: rejected records on a topic of their own, with where they came from and why."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import structlog
from confluent_kafka import KafkaException, Producer

from adapters.kafka.access import KafkaAccess
from adapters.kafka.log import Entry, LogReader
from core.delta import DeadLetter
from core.errors import UnavailableError
from core.events import DEAD_LETTERS, DEAD_LETTERS_MAX_BYTES, TOPICS
from core.position import PartitionKey

log = structlog.get_logger(__name__)

ACK_LIMIT_S: Final = 10.0
#: The end of the year 9999: no date is later.
_LATEST_MS: Final = 253_402_300_799_999
#: What is kept of a value; the header `size` has its whole length.
KEPT_BYTES: Final = DEAD_LETTERS_MAX_BYTES - (64 << 10)


class DeadLetterProducer:
    """Publishes dead letters; the key `topic:partition:offset` makes repetition harmless."""

    def __init__(self, access: KafkaAccess) -> None:
        config = access.confluent(
            enable_idempotence=True,
            compression_type="lz4",
            linger_ms=0,
            message_timeout_ms=int(ACK_LIMIT_S * 1000),
            message_max_bytes=DEAD_LETTERS_MAX_BYTES,
        )
        self._producer = Producer(config)
        self._failed: str | None = None

    async def publish(self, letters: Sequence[DeadLetter]) -> None:
        """Returns when the broker has acknowledged all. Raises `UnavailableError` otherwise."""
        await asyncio.to_thread(self.send, letters)

    def send(self, letters: Sequence[DeadLetter]) -> None:
        """As `publish`, in this thread."""
        self._failed = None
        for letter in letters:
            while True:
                try:
                    self._producer.produce(
                        DEAD_LETTERS,
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
                    raise UnavailableError(f"Kafka takes no dead letters: {error}") from error
        left = self._producer.flush(ACK_LIMIT_S + 1)
        if left or self._failed:
            raise UnavailableError(f"Kafka takes no dead letters: {self._failed or 'no answer'}")

    def _on_delivery(self, error: Any, _message: Any) -> None:
        if error is not None:
            self._failed = str(error)


class FoundLetter(NamedTuple):
    """A dead letter as read back: where the record was, why it was rejected, its bytes."""

    source: PartitionKey
    offset: int
    append_ms: int
    reason: str
    detail: str
    value: bytes | None


def read_dead_letters(access: KafkaAccess) -> Iterator[FoundLetter]:
    """All dead letters, one for each record (repetitions left out), oldest first.

    Raises `UnavailableError` where Kafka does not answer.
    """
    yield from _letters(access, {}, tell=True)


def newest_dead_letters(access: KafkaAccess, limit: int) -> list[FoundLetter]:
    """The newest dead letters, `limit` at most, the newest first, without reading all of them.

    Raises `UnavailableError` where Kafka does not answer.
    """
    topic = PartitionKey(DEAD_LETTERS, 0)
    with LogReader(access, [topic]) as reader:
        low, high = reader.bounds()[topic]
    start, wanted = high, limit
    found: list[FoundLetter] = []
    # compaction leaves gaps, so a stretch of the log may hold less than was hoped for
    while start > low and len(found) < limit:
        wanted *= 2
        start = max(low, high - wanted)
        found = list(_letters(access, {topic: start}))
    return found[::-1][:limit]


def _letters(access: KafkaAccess, starts: dict[PartitionKey, int], *, tell: bool = False) -> Iterator[FoundLetter]:
    seen: set[bytes] = set()
    strangers = 0
    with LogReader(access, [PartitionKey(DEAD_LETTERS, 0)], starts) as reader:
        for entry in reader.read_to_end():
            if entry.key is not None and entry.key in seen:
                continue
            try:
                letter = _letter(entry)
            except ValueError:
                strangers += 1
                continue
            seen.add(entry.key or b"")
            yield letter
    if strangers and tell:
        log.warning("left out: no dead letters of Fourfold", topic=DEAD_LETTERS, records=strangers)


def _letter(entry: Entry) -> FoundLetter:
    """Raises `ValueError` for a record that somebody else put there."""
    if entry.key is None:
        raise ValueError("no key")
    origin, offset = entry.key.decode().rsplit(":", 1)
    source = PartitionKey.parse(origin)
    headers = {name: (text or b"").decode("utf-8", "replace") for name, text in entry.headers}
    append_ms = int(headers.get("append-ms", "0"))
    if source.topic not in TOPICS or not 0 <= append_ms <= _LATEST_MS:
        raise ValueError("of another log")
    return FoundLetter(
        source,
        int(offset),
        append_ms,
        headers.get("reason", ""),
        headers.get("detail", ""),
        None if headers.get("null-value") == "true" else entry.value,
    )


def _headers(letter: DeadLetter) -> list[tuple[str, str | bytes | None]]:
    return [
        ("reason", letter.reason.value),
        ("detail", letter.detail[:500].encode("utf-8", "replace")),
        ("source-topic", letter.source.topic),
        ("source-partition", str(letter.source.partition)),
        ("source-offset", str(letter.offset)),
        ("append-ms", str(letter.append_ms)),
        ("source-key", letter.key or b""),
        ("size", str(len(letter.value or b""))),
        ("null-value", "true" if letter.value is None else "false"),
    ]
