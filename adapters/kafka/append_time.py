"""The newest append time of a log: the broker's clock, as producers meet it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from adapters.kafka.access import KafkaAccess
from adapters.kafka.trouble import said
from core.errors import UnavailableError
from core.position import PartitionKey

TIMEOUT_S: Final = 5.0


def newest_append_ms(access: KafkaAccess, sources: Iterable[PartitionKey]) -> int:
    """When the newest record of these partitions was appended; 0 without one.

    Asked over a new connection: seldom, please. Raises `UnavailableError`.
    """
    admin = AdminClient(access.confluent(socket_timeout_ms=int(TIMEOUT_S * 1000)))
    asked = {TopicPartition(*source): OffsetSpec.max_timestamp() for source in sources}
    newest = 0
    for future in admin.list_offsets(asked, request_timeout=TIMEOUT_S).values():
        try:
            newest = max(newest, future.result(TIMEOUT_S + 1).timestamp)
        except TimeoutError as error:
            raise UnavailableError(f"Kafka has not answered for {TIMEOUT_S:g} s") from error
        except KafkaException as error:
            raise said(error) from error
    return newest
