"""Bounds of partitions: leaders that move are asked for again, within a limit; anything else is said."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from adapters.kafka.bounds import TIMEOUT_S, bounds_of
from core.errors import ConfigurationError, UnavailableError
from tests.support.events import CLICKS_0


class Broker:
    """Fails until it was asked for metadata so often; its clock moves with the pauses."""

    def __init__(self, code: int, cured_by: float) -> None:
        self.code, self.cured_by, self.now = code, cured_by, 0.0
        self.asked = 0
        self.away = False

    def get_watermark_offsets(self, partition, _timeout):
        if self.asked < self.cured_by:
            raise KafkaException(KafkaError(self.code))
        return partition.partition, 7

    def list_topics(self, timeout):
        assert 0 < timeout <= TIMEOUT_S
        self.asked += 1
        if self.away:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    def bounds(self):
        def pause(seconds: float) -> None:
            self.now += seconds

        return bounds_of(self, [CLICKS_0], lambda: self.now, pause)


@pytest.mark.parametrize(
    "code",
    [
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._TRANSPORT,
        KafkaError._TIMED_OUT,
        KafkaError._DESTROY_BROKER,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.OFFSET_NOT_AVAILABLE,
    ],
)
def test_a_client_that_has_not_heard_of_new_leaders_asks_for_metadata(code):
    assert Broker(code, 1).bounds() == {CLICKS_0: (0, 7)}
    assert Broker(code, 40).bounds() == {CLICKS_0: (0, 7)}


def test_leaders_that_never_come_are_said_within_the_limit():
    broker = Broker(KafkaError.LEADER_NOT_AVAILABLE, float("inf"))
    with pytest.raises(UnavailableError, match="Kafka does not answer"):
        broker.bounds()
    assert broker.now == pytest.approx(TIMEOUT_S, abs=0.2)


def test_where_no_broker_gives_metadata_nothing_is_waited_for():
    broker = Broker(KafkaError._TRANSPORT, float("inf"))
    broker.away = True
    with pytest.raises(UnavailableError, match="Kafka does not answer"):
        broker.bounds()
    assert broker.now < 1


@pytest.mark.parametrize("code", [KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError._AUTHENTICATION])
def test_what_does_not_pass_is_said_at_once_with_what_to_do(code):
    broker = Broker(code, float("inf"))
    with pytest.raises(ConfigurationError, match=r"kafka-acls\.sh|FOURFOLD_KAFKA_USERNAME"):
        broker.bounds()
    assert broker.asked == broker.now == 0
