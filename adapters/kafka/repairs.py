"""Repairs: dead letters put right, kept on a topic until they go back into the stream, each once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer

from adapters.kafka.access import KafkaAccess
from adapters.kafka.log import LogReader
from core.errors import UnavailableError
from core.events import CONTENT_TYPE, DEAD_LETTERS_MAX_BYTES, REPAIRS, TOPICS
from core.position import PartitionKey
from core.truth import HEADER

log = structlog.get_logger(__name__)

#: The header of a redriven record: `topic:partition:offset` of its original.
REFERENCE: Final = "redrive-of"
#: Who begins a transaction with this name ends that of whoever else has it.
TRANSACTIONS: Final = "fourfold-redrive"
#: A transaction that is open holds up all readers of committed records: short ones.
TRANSACTION_LIMIT_S: Final = 15.0
TIMEOUT_S: Final = 30.0
_REDRIVEN: Final = b"redriven "
_TRIES: Final = 5
#: The partitioner chooses the partition.
_BY_KEY: Final = -1
_FENCED: Final = (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED)  # noqa: SLF001 - the client's name


class Repair(NamedTuple):
    """A repaired event. The first three say where its original is; `topic`, `key`, `value`: where it goes.

    `fix`: what repaired it; `event_id`: of the repaired document.
    """

    source: PartitionKey
    offset: int
    append_ms: int
    topic: str
    key: bytes
    value: bytes
    fix: str
    event_id: str

    @property
    def place(self) -> str:
        """Which letter it is of. The append time tells topics apart that were made anew."""
        return place_of(self.source, self.offset, self.append_ms)


def place_of(source: PartitionKey, offset: int, append_ms: int) -> str:
    """The name of a record for good."""
    return f"{source}:{offset}@{append_ms}"


@dataclass(slots=True)
class RepairBook:
    """By place: repairs that were kept, and those letters that went back into the stream."""

    kept: dict[str, Repair] = field(default_factory=dict)
    redriven: set[str] = field(default_factory=set)

    @property
    def waiting(self) -> list[Repair]:
        """Kept, and not yet in the stream; in the order of their originals."""
        left = [repair for place, repair in self.kept.items() if place not in self.redriven]
        return sorted(left, key=lambda repair: (repair.append_ms, repair.source, repair.offset))


def read_repairs(access: KafkaAccess) -> RepairBook:
    """All that is known of repairs. Raises `UnavailableError` where Kafka does not answer."""
    book = RepairBook()
    strangers = 0
    with LogReader(access, [PartitionKey(REPAIRS, 0)]) as reader:
        for entry in reader.read_to_end():
            key = entry.key or b""
            try:
                if key.startswith(_REDRIVEN):
                    book.redriven.add(key.removeprefix(_REDRIVEN).decode())
                elif entry.value is not None:
                    repair = _repair(key.decode(), entry.value, dict(entry.headers))
                    book.kept[repair.place] = repair
            except ValueError:
                strangers += 1
    if strangers:
        log.warning("left out: no repairs of Fourfold", topic=REPAIRS, records=strangers)
    return book


def keep_repairs(access: KafkaAccess, repairs: Iterable[Repair]) -> None:
    """Keeps repairs, each in the place of an earlier one of the same letter. Raises `UnavailableError`."""
    failed: list[str] = []
    producer = Producer(_config(access))

    def delivered(error: Any, _message: Any) -> None:
        if error is not None:
            failed.append(str(error))

    for repair in repairs:
        _produce(producer, REPAIRS, repair.place.encode(), repair.value, _headers(repair), delivered)
    left = producer.flush(TIMEOUT_S)
    if left or failed:
        raise UnavailableError(f"Kafka takes no repairs: {failed[0] if failed else 'no answer'}")


class Redrive:
    """Sends repaired events, each with the word that it went, in one Kafka transaction. A context manager.

    A second one ends the first one's transaction: of an event and its word there are both or neither,
    so whoever reads the words after `begin` knows what is left to send.
    """

    def __init__(self, access: KafkaAccess) -> None:
        """Ends what an earlier one left unfinished. Raises `UnavailableError`."""
        limit_ms = int(TRANSACTION_LIMIT_S * 1000)
        self._producer = Producer(_config(access, transactional_id=TRANSACTIONS, transaction_timeout_ms=limit_ms))
        try:
            self._producer.init_transactions(TIMEOUT_S)
        except KafkaException as error:
            raise _away(error) from error

    def send(self, repairs: Sequence[tuple[Repair, bytes]]) -> None:
        """All of them or none: each repair with the value of its truth header.

        Raises `UnavailableError` where Kafka is away or another redrive has begun.
        """
        try:
            self._producer.begin_transaction()
            for repair, truth in repairs:
                headers = [
                    ("content-type", CONTENT_TYPE.encode()),
                    (HEADER, truth),
                    (REFERENCE, f"{repair.source}:{repair.offset}".encode()),
                ]
                _produce(self._producer, repair.topic, repair.key, repair.value, headers)
                word = _REDRIVEN + repair.place.encode()
                _produce(self._producer, REPAIRS, word, repair.event_id.encode(), [])
            self._commit()
        except KafkaException as error:
            self._abort()
            raise _away(error) from error

    def _commit(self) -> None:
        for left in reversed(range(_TRIES)):
            try:
                self._producer.commit_transaction(TIMEOUT_S)
            except KafkaException as error:
                if not left or not error.args[0].retriable():
                    raise
            else:
                return

    def _abort(self) -> None:
        try:
            self._producer.abort_transaction(TIMEOUT_S)
        except KafkaException:
            # fenced off, or Kafka is away: the broker or the next one to begin ends it
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._producer.purge()


def _config(access: KafkaAccess, **more: Any) -> dict[str, Any]:
    return access.confluent(
        enable_idempotence=True,
        acks="all",
        compression_type="lz4",
        # where the emitter would put it: the same key, the same partition
        partitioner="murmur2_random",
        message_timeout_ms=int(TRANSACTION_LIMIT_S * 1000),
        message_max_bytes=DEAD_LETTERS_MAX_BYTES,
        **more,
    )


def _produce(
    producer: Producer,
    topic: str,
    key: bytes,
    value: bytes,
    headers: list[tuple[str, bytes]],
    on_delivery: Any = None,
) -> None:
    while True:
        try:
            # repairs are read from their first partition, however many somebody adds
            partition = 0 if topic == REPAIRS else _BY_KEY
            producer.produce(topic, key=key, value=value, headers=headers, on_delivery=on_delivery, partition=partition)
        except BufferError:
            producer.poll(0.1)
        else:
            producer.poll(0)
            return


def _headers(repair: Repair) -> list[tuple[str, bytes]]:
    return [
        ("topic", repair.topic.encode()),
        ("key", repair.key),
        ("fix", repair.fix.encode()),
        ("event-id", repair.event_id.encode()),
    ]


def _repair(place: str, value: bytes, headers: Mapping[str, bytes]) -> Repair:
    record, append_ms = place.rsplit("@", 1)
    source, offset = record.rsplit(":", 1)
    text = {name: (headers.get(name) or b"").decode("utf-8", "replace") for name in ("topic", "fix", "event-id")}
    if text["topic"] not in TOPICS:
        raise ValueError("it goes nowhere")
    return Repair(
        PartitionKey.parse(source),
        int(offset),
        int(append_ms),
        text["topic"],
        headers.get("key") or b"",
        value,
        text["fix"],
        text["event-id"],
    )


def _away(error: KafkaException) -> UnavailableError:
    cause = error.args[0]
    if cause.code() in _FENCED:
        return UnavailableError("another redrive has begun: it goes on from where this one was")
    return UnavailableError(f"Kafka takes no repaired events ({cause.str()}): run `fourfold deadletters redrive` again")
