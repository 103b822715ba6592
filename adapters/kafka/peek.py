"""Single records of the log, by offset."""

# ruff: noqa: SLF001 - confluent-kafka names its own error codes with an underscore

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from adapters.kafka.access import KafkaAccess
from adapters.kafka.bounds import bounds_of
from adapters.kafka.stamp import stamp_of
from core.errors import UnavailableError
from core.position import PartitionKey

TIMEOUT_S: Final = 10.0
_WAIT_S: Final = 0.1
#: What is asked for is one record: a fetch brings one batch and little more.
_FETCH_BYTES: Final = 1 << 14


class Place(NamedTuple):
    """Where a record is, and its append time in ms (0: the broker did not stamp it)."""

    offset: int
    append_ms: int


class Peek:
    """Reads one record of each of some partitions, outside any group. Keeps its connection. For one thread."""

    def __init__(self, access: KafkaAccess, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._consumer = Consumer(
            access.reading(
                "fourfold-peek",
                auto_offset_reset="error",
                fetch_message_max_bytes=_FETCH_BYTES,
                queued_min_messages=1,
            )
            | {"isolation.level": "read_uncommitted"}
        )

    def close(self) -> None:
        """Ends the connection."""
        self._consumer.close()

    def bounds(self, sources: Iterable[PartitionKey]) -> dict[PartitionKey, tuple[int, int]]:
        """Each partition's first offset and end offset. Raises `UnavailableError`."""
        return bounds_of(self._consumer, sources)

    def first(
        self, offsets: Mapping[PartitionKey, int], timeout_s: float = TIMEOUT_S
    ) -> dict[PartitionKey, Place | None]:
        """The first record at or after each offset, None where the log has none.

        Raises:
            UnavailableError: Kafka has not answered within `timeout_s`.
        """
        found: dict[PartitionKey, Place | None] = {}
        if not offsets:
            return found
        limit = self._clock() + timeout_s
        try:
            self._consumer.assign([TopicPartition(*source, offset) for source, offset in offsets.items()])
            while found.keys() != offsets.keys():
                if self._clock() > limit:
                    raise UnavailableError(
                        f"Kafka gives no record of {min(offsets.keys() - found.keys())} for {timeout_s:g} s"
                    )
                for message in self._consumer.consume(len(offsets), _WAIT_S):
                    source = PartitionKey(message.topic() or "", message.partition() or 0)
                    error: Any = message.error()
                    if source in found or source not in offsets:
                        continue
                    if error is None:
                        found[source] = Place(message.offset() or 0, stamp_of(message))
                    elif error.code() in _NOTHING:
                        found[source] = None
        except KafkaException as error:
            raise UnavailableError(f"Kafka does not answer: {error.args[0].str()}") from error
        finally:
            self._consumer.unassign()
        return found


#: The log ends there, or does not have the offset.
_NOTHING: Final = {KafkaError._PARTITION_EOF, KafkaError._AUTO_OFFSET_RESET}
