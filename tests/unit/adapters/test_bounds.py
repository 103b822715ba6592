"""Bounds of partitions: leaders that are being chosen are waited for, anything else is said."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from adapters.kafka.bounds import bounds_of
from core.errors import UnavailableError
from tests.support.events import CLICKS_0


class Broker:
    """Fails so often before it answers; its clock moves with the pauses."""

    def __init__(self, code: int, failures: int) -> None:
        self.code, self.failures, self.now = code, failures, 0.0

    def get_watermark_offsets(self, partition, _timeout):
        if self.failures:
            self.failures -= 1
            raise KafkaException(KafkaError(self.code))
        return partition.partition, 7

    def bounds(self):
        def pause(seconds: float) -> None:
            self.now += seconds

        return bounds_of(self, [CLICKS_0], lambda: self.now, pause)


@pytest.mark.parametrize("code", [KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE])
def test_leaders_that_are_being_chosen_are_waited_for_within_a_limit(code):
    assert Broker(code, 40).bounds() == {CLICKS_0: (0, 7)}
    with pytest.raises(UnavailableError, match="Kafka does not answer"):
        Broker(code, 60).bounds()


def test_anything_else_is_said_at_once():
    broker = Broker(KafkaError._TIMED_OUT, 1)
    with pytest.raises(UnavailableError, match="Kafka does not answer"):
        broker.bounds()
    assert broker.now == 0
