"""The append time of a record as confluent-kafka gives it."""

from __future__ import annotations

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message

from core.contract import append_time


def stamp_of(message: Message) -> int:
    """The record's append time in ms; `core.contract.UNSTAMPED_MS` where the broker did not stamp it."""
    kind, stamp_ms = message.timestamp()
    return append_time(stamp_ms, by_broker=kind == TIMESTAMP_LOG_APPEND_TIME)
