"""Finds the cut: one epoch boundary, seen in all partitions of the log, by the broker's clock."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from adapters.kafka.access import KafkaAccess
from adapters.kafka.bounds import bounds_of
from adapters.kafka.leaders import asked_of_leaders
from adapters.kafka.peek import Peek
from adapters.kafka.trouble import said
from core.cut import Cut, cut_epoch
from core.errors import ConfigurationError, UnavailableError
from core.position import PartitionKey

#: A record that is appended here comes back with the broker's time.
CLOCK: Final = "clock"
TIMEOUT_S: Final = 10.0
CLOCK_CONFIG: Final = {"message.timestamp.type": "LogAppendTime", "cleanup.policy": "delete", "retention.ms": "3600000"}


class CutFinder:
    """Keeps its connections from one cut to the next."""

    def __init__(
        self, access: KafkaAccess, topics: Sequence[str], *, epoch_ms: int, margin_ms: int, replication: int = 1
    ) -> None:
        """`topics`: of events. `margin_ms`: how far the clocks of several brokers may differ, and how long an append may take.

        A broker stamps a record before it shows it: with no margin a record of an epoch below the
        cut may still come after it. `replication`: of the topic `clock`, where it is made.
        """
        self._topics = topics
        self._epoch_ms = epoch_ms
        self._margin_ms = margin_ms
        self._replication = replication
        self._access = access
        self._producer = Producer(access.confluent(linger_ms=0, message_timeout_ms=int(TIMEOUT_S * 1000)))
        self._consumer = Consumer(
            access.confluent(
                group_id="fourfold-cut",
                enable_auto_commit=False,
                # the cut must not stop at an open transaction
                isolation_level="read_uncommitted",
            )
        )
        self._peek = Peek(access)
        self._clock_made = False

    def close(self) -> None:
        """Ends the connections."""
        self._consumer.close()
        self._peek.close()

    def find(self, partitions: Callable[[], Collection[PartitionKey]]) -> Cut:
        """The newest cut of all partitions.

        Args:
            partitions: The partitions that there are now. They are asked for *after* the broker's clock: a
                partition that is made later holds no record of an epoch below the cut, so it may be left out.

        Raises:
            UnavailableError: Kafka does not answer.
            ConfigurationError: The topic `clock` is not stamped by the broker.
        """
        epoch = cut_epoch(self._broker_ms(), self._margin_ms, self._epoch_ms)
        return self.at(epoch, partitions())

    def at(self, epoch: int, sources: Collection[PartitionKey]) -> Cut:
        """The cut of an epoch that is over. Raises `UnavailableError` where Kafka does not answer, or has no partitions."""
        if not sources:
            raise UnavailableError(
                f"Kafka has none of the topics {', '.join(self._topics)}: were they deleted? Make them with `fourfold topics`"
            )
        # the ends first: what is appended after them has a time after the cut's
        ends = {source: end for source, (_, end) in bounds_of(self._consumer, sources).items()}
        times = [TopicPartition(*s, epoch * self._epoch_ms) for s in sources]
        vector = dict(ends)
        stamped = {}
        for answer in asked_of_leaders(self._consumer, partial(_offsets_for, self._consumer, times), TIMEOUT_S):
            # below zero: no record has that time yet
            if answer.offset >= 0:
                stamped[PartitionKey(answer.topic, answer.partition)] = answer.offset
        return Cut(epoch, vector | self._by_append_time(stamped, ends, epoch * self._epoch_ms))

    def _by_append_time(
        self, offsets: Mapping[PartitionKey, int], ends: Mapping[PartitionKey, int], since_ms: int
    ) -> dict[PartitionKey, int]:
        """Offsets that Kafka found by stamp, put right where the stamp is not the broker's.

        Kafka's look-up takes any stamp for a time. One of a producer, from when the topic was CreateTime, may be
        days ahead: it would hold the cut there for as long.
        """
        right = {}
        for source, place in self._peek.first(offsets).items():
            known = place is not None and place.append_ms >= since_ms
            right[source] = offsets[source] if known else self._search(source, offsets[source], ends[source], since_ms)
        return right

    def _search(self, source: PartitionKey, low: int, end: int, since_ms: int) -> int:
        """The first offset in [`low`, `end`] whose record was appended at or after `since_ms`; `end` for none.

        By halves, since append times grow. Where a broker's clock went back it may miss, which the recompute
        notices: every epoch is compared with the cut.
        """
        high = max(low, end)
        while low < high:
            middle = (low + high) // 2
            place = self._peek.first({source: middle})[source]
            if place is None or place.offset >= high or place.append_ms >= since_ms:
                high = middle
            else:
                low = place.offset + 1
        return low

    def _broker_ms(self) -> int:
        if not self._clock_made:
            self._make_clock()
        answers: list[tuple[Any, Any]] = []
        # with a key: somebody may have made the topic a compacted one
        self._producer.produce(
            CLOCK, b"", CLOCK.encode(), on_delivery=lambda error, message: answers.append((error, message))
        )
        self._producer.flush(TIMEOUT_S + 1)
        if not answers:
            raise UnavailableError(f"Kafka has not answered for {TIMEOUT_S:g} s")
        error, message = answers[0]
        if error is not None:
            self._clock_made = False
            raise said(error)
        kind, append_ms = message.timestamp()
        if kind != TIMESTAMP_LOG_APPEND_TIME:
            raise ConfigurationError(
                f"topic {CLOCK} is not stamped by the broker: kafka-configs.sh --alter --entity-type topics "
                f"--entity-name {CLOCK} --add-config message.timestamp.type=LogAppendTime"
            )
        return int(append_ms)

    def _make_clock(self) -> None:
        # a client of its own: one that lives long goes on waiting for a controller that is gone
        admin = AdminClient(self._access.confluent(socket_timeout_ms=int(TIMEOUT_S * 1000)))
        future = admin.create_topics([NewTopic(CLOCK, 1, self._replication, config=CLOCK_CONFIG)])[CLOCK]
        try:
            future.result(TIMEOUT_S + 2)
        except TimeoutError as error:
            raise UnavailableError(f"Kafka has not answered for {TIMEOUT_S:g} s") from error
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise said(error, f"Kafka cannot make the topic {CLOCK}") from error
        self._clock_made = True


def _offsets_for(consumer: Consumer, times: list[TopicPartition], timeout_s: float) -> list[TopicPartition]:
    found: list[TopicPartition] = consumer.offsets_for_times(times, timeout_s)
    for answer in found:
        if answer.error:
            raise KafkaException(answer.error)
    return found
