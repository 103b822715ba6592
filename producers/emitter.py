"""The emitter: records into Kafka, each once, and how many have arrived."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from core.declaration.pipeline import CLOUDEVENTS_CONTENT_TYPE
from core.errors import UnavailableError
from core.truth import HEADER
from producers.record import Record

_CONTENT_TYPE: Final = CLOUDEVENTS_CONTENT_TYPE.encode()
#: Waits for room in the buffer, in seconds, from first to longest.
_FIRST_WAIT_S: Final = 0.005
_LONGEST_WAIT_S: Final = 0.25
#: Delivery reports are served after this many records.
_POLL_EVERY: Final = 1_000

#: Keys go to the partition that Java's clients choose, too. A retried batch is stored once and in
#: order (idempotence). While Kafka is away, records wait: 5 minutes each, 100,000 or 64 MB of them.
DEFAULTS: Final[Mapping[str, object]] = {
    "enable.idempotence": True,
    "acks": "all",
    "compression.type": "lz4",
    "linger.ms": 10,
    "batch.num.messages": 10_000,
    "partitioner": "murmur2_random",
    "message.timeout.ms": 300_000,
    "queue.buffering.max.messages": 100_000,
    "queue.buffering.max.kbytes": 65_536,
    "reconnect.backoff.max.ms": 2_000,
}

#: A dictionary: the client takes it up a quarter faster than a list of pairs.
Headers = dict[str, str | bytes | None]


class Emitter:
    """Sends records. Not for two threads at once.

    `produced`: handed to the client. `failed`: given up. `blocked`: how often the buffer was full
    and the caller had to wait.
    """

    def __init__(self, config: Mapping[str, object]) -> None:
        """`config`: settings of confluent-kafka, at least `bootstrap.servers`, before `DEFAULTS`.

        Raises `KafkaException` for settings that the client does not know.
        """
        self.produced = 0
        self.failed = 0
        self.blocked = 0
        self.last_failure = ""
        settings = {
            **DEFAULTS,
            **config,
            # deliveries are counted by what is left in the buffer: calling Python for each one
            # would cost as much as making the event
            "delivery.report.only.error": True,
            "on_delivery": self._on_failure,
        }
        self._producer = Producer(settings)

    @property
    def delivered(self) -> int:
        """How many records Kafka has acknowledged; never too high."""
        return max(0, self.produced - self.failed - len(self._producer))

    def send(self, records: Sequence[Record], stop: threading.Event) -> int:
        """Hands over all records, and waits while the buffer is full.

        Returns how many were handed over: fewer only if `stop` was set meanwhile. Raises
        `UnavailableError` where the client says that it can never send again or that the topic
        does not exist.
        """
        produce, poll = self._producer.produce, self._producer.poll
        done = 0
        try:
            for topic, key, value, truth, _ in records:
                headers: Headers = {"content-type": _CONTENT_TYPE, HEADER: truth}
                try:
                    produce(topic, value, key, headers=headers)
                except BufferError:
                    if not self._sent_when_free(topic, value, key, headers, stop):
                        break
                done += 1
                if not done % _POLL_EVERY:
                    poll(0)
            poll(0)
        except KafkaException as error:
            raise _unavailable(error) from error
        finally:
            self.produced += done
        return done

    def flush(self, timeout_s: float) -> int:
        """Waits so long at most until all has arrived. Returns how many records have not."""
        left: int = self._producer.flush(timeout_s)
        return left

    def _sent_when_free(
        self,
        topic: str,
        value: bytes | None,
        key: bytes,
        headers: Headers,
        stop: threading.Event,
    ) -> bool:
        self.blocked += 1
        wait_s = _FIRST_WAIT_S
        while not stop.is_set():
            self._producer.poll(wait_s)
            try:
                self._producer.produce(topic, value, key, headers=headers)
            except BufferError:
                wait_s = min(_LONGEST_WAIT_S, 2 * wait_s)
            else:
                return True
        return False

    def _on_failure(self, error: KafkaError | None, message: Message) -> None:
        self.failed += 1
        self.last_failure = f"{message.topic()}: {error}"


def _unavailable(error: KafkaException) -> UnavailableError:
    cause = error.args[0]
    if isinstance(cause, KafkaError):
        return UnavailableError(
            f"Kafka takes no more records ({cause.str()}): check that the topics exist "
            "(`fourfold topics`) and start the producers again"
        )
    return UnavailableError(f"Kafka takes no more records: {error}")
