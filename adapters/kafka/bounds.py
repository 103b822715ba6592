"""The first and the end offset of partitions, asked of the broker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from core.errors import UnavailableError
from core.position import PartitionKey

TIMEOUT_S: Final = 10.0
#: Leaders are being chosen, as just after a topic was made or a broker came back: a moment later they are there.
_MOVING: Final = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)
_MOVING_LIMIT_S: Final = 5.0
_PAUSE_S: Final = 0.1


def bounds_of(
    consumer: Consumer,
    sources: Iterable[PartitionKey],
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] = time.sleep,
) -> dict[PartitionKey, tuple[int, int]]:
    """Each partition's first offset and end offset. Raises `UnavailableError`."""
    limit = clock() + _MOVING_LIMIT_S
    found: dict[PartitionKey, tuple[int, int]] = {}
    for source in sources:
        while source not in found:
            try:
                found[source] = consumer.get_watermark_offsets(TopicPartition(*source), TIMEOUT_S)
            except KafkaException as error:
                reason: Any = error.args[0]
                if reason.code() not in _MOVING or clock() > limit:
                    raise UnavailableError(f"Kafka does not answer: {reason.str()}") from error
                pause(_PAUSE_S)
    return found
