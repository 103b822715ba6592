"""Repairs: dead letters put right, kept on a topic until they go back into the stream, each once."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import structlog
from confluent_kafka import IsolationLevel, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from adapters.kafka.access import KafkaAccess
from adapters.kafka.headers import EventHeaders, RepairHeaders, as_text, read, written
from adapters.kafka.log import Entry, LogReader
from core.errors import UnavailableError
from core.events import DEAD_LETTERS_MAX_BYTES, REPAIRS
from core.position import PartitionKey

log = structlog.get_logger(__name__)

#: All repairs are in this one, also where somebody adds partitions to the topic.
PARTITION: Final = 0
#: Who begins a transaction with this name ends that of whoever else has it.
TRANSACTIONS: Final = "fourfold-redrive"
#: A transaction that is open holds up all readers of committed records: short ones.
TRANSACTION_LIMIT_S: Final = 15.0
TIMEOUT_S: Final = 30.0
_REDRIVEN: Final = b"redriven "
_TRIES: Final = 5
_PLACE: Final = re.compile(
    r"(?P<topic>[a-z][a-z0-9_]*):(?P<partition>[0-9]{1,9}):(?P<offset>[0-9]{1,18})@(?P<append_ms>[0-9]{1,15})", re.ASCII
)
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
    #: records of somebody else, which were left out
    foreign: int = 0

    @property
    def waiting(self) -> list[Repair]:
        """Kept, and not yet in the stream; in the order of their originals."""
        left = [repair for place, repair in self.kept.items() if place not in self.redriven]
        return sorted(left, key=lambda repair: (repair.append_ms, repair.source, repair.offset))


def read_repairs(access: KafkaAccess, topics: Collection[str]) -> RepairBook:
    """All that is known of repairs of events of these topics. Raises `UnavailableError` where Kafka does not answer."""
    book = RepairBook()
    with LogReader(access, [PartitionKey(REPAIRS, PARTITION)]) as reader:
        for entry in reader.read_to_end():
            try:
                _enter(book, entry, topics)
            except ValueError:
                book.foreign += 1
    if book.foreign:
        log.warning("left out: no repairs of Fourfold", topic=REPAIRS, records=book.foreign)
    return book


def check_readable(access: KafkaAccess) -> None:
    """Raises `UnavailableError` while somebody else has a transaction open on the topic.

    What was committed after its beginning cannot be read until it ends: letters that went back would go again.
    """
    admin = AdminClient(access.confluent())
    place = TopicPartition(REPAIRS, PARTITION)
    ends = []
    # in this order: what comes between the two is committed
    for level in (IsolationLevel.READ_UNCOMMITTED, IsolationLevel.READ_COMMITTED):
        asked = admin.list_offsets({place: OffsetSpec.latest()}, isolation_level=level, request_timeout=TIMEOUT_S)
        try:
            ends.append(asked[place].result(TIMEOUT_S + 2).offset)
        except (KafkaException, TimeoutError) as error:
            raise UnavailableError(f"Kafka does not say where the topic {REPAIRS} ends: {error}") from error
    if ends[1] < ends[0]:
        raise UnavailableError(
            f"somebody else has a transaction open on the topic {REPAIRS}, since offset {ends[1]}: run "
            "`fourfold deadletters redrive` again when it has ended (kafka-transactions.sh shows whose it is)"
        )


def _enter(book: RepairBook, entry: Entry, topics: Collection[str]) -> None:
    """Raises `ValueError` for a record that somebody else put there."""
    key = entry.key or b""
    place = key.removeprefix(_REDRIVEN).decode()
    source, offset, append_ms = _parsed(place, topics)
    if key.startswith(_REDRIVEN):
        book.redriven.add(place)
    elif entry.value is None:
        # a tombstone: compaction will take what was kept, too
        book.kept.pop(place, None)
    else:
        headers = read(RepairHeaders, entry.headers)
        if headers.topic not in topics:
            raise ValueError("it goes nowhere")
        goes = (headers.topic, dict(entry.headers)["key"], entry.value, headers.fix, headers.event_id)
        book.kept[place] = Repair(source, offset, append_ms, *goes)


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

    def __init__(self, access: KafkaAccess, content_type: str) -> None:
        """Ends what an earlier one left unfinished. Raises `UnavailableError`."""
        self._content_type = content_type
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
                original = f"{repair.source}:{repair.offset}"
                headers = written(EventHeaders(self._content_type, truth.decode(), original))
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
    placed = {"partition": PARTITION} if topic == REPAIRS else {}
    while True:
        try:
            producer.produce(topic, key=key, value=value, headers=headers, on_delivery=on_delivery, **placed)
        except BufferError:
            producer.poll(0.1)
        else:
            producer.poll(0)
            return


def _headers(repair: Repair) -> list[tuple[str, bytes]]:
    return written(RepairHeaders(repair.topic, as_text(repair.key), repair.fix, repair.event_id))


def _parsed(place: str, topics: Collection[str]) -> tuple[PartitionKey, int, int]:
    """The inverse of `place_of`. Raises `ValueError`."""
    found = _PLACE.fullmatch(place)
    if found is None or found["topic"] not in topics:
        raise ValueError("no place in the log")
    return PartitionKey(found["topic"], int(found["partition"])), int(found["offset"]), int(found["append_ms"])


def _away(error: KafkaException) -> UnavailableError:
    cause = error.args[0]
    if cause.code() in _FENCED:
        return UnavailableError("another redrive has begun: it goes on from where this one was")
    return UnavailableError(f"Kafka takes no repaired events ({cause.str()}): run `fourfold deadletters redrive` again")
