"""The first and the end offset of partitions, asked of the broker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from confluent_kafka import Consumer, TopicPartition

from adapters.kafka.access import KafkaAccess
from adapters.kafka.leaders import asked_of_leaders
from core.position import PartitionKey

#: For all partitions together; see `asked_of_leaders`.
TIMEOUT_S: Final = 10.0


def bounds_of(
    consumer: Consumer,
    sources: Iterable[PartitionKey],
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] = time.sleep,
) -> dict[PartitionKey, tuple[int, int]]:
    """Each partition's first offset and end offset. Raises as `asked_of_leaders`."""
    end = clock() + TIMEOUT_S
    found: dict[PartitionKey, tuple[int, int]] = {}
    for source in sources:

        def ask(timeout_s: float, source: PartitionKey = source) -> tuple[int, int]:
            bounds: tuple[int, int] = consumer.get_watermark_offsets(TopicPartition(*source), timeout_s)
            return bounds

        found[source] = asked_of_leaders(consumer, ask, max(0.0, end - clock()), clock, pause)
    return found


class LogBounds:
    """Asks for bounds again and again, over one connection."""

    def __init__(self, access: KafkaAccess) -> None:
        self._consumer = Consumer(access.reading("fourfold-bounds", auto_offset_reset="error"))

    def of(self, sources: Iterable[PartitionKey]) -> dict[PartitionKey, tuple[int, int]]:
        """Each partition's first offset and end offset. Raises as `asked_of_leaders`."""
        return bounds_of(self._consumer, sources)
