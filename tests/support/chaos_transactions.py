"""A transactional producer: its control records and aborted records leave gaps in the offsets."""

from __future__ import annotations

import threading
from random import Random
from typing import Final

from confluent_kafka import KafkaException, Producer

from adapters.kafka.access import KafkaAccess
from core.truth import HEADER
from producers.dirt import DirtShares
from producers.role import wall_ms
from producers.stream import ShopStream
from tests.support.shop_events import CONTENT_TYPE

ABORTED_SHARE: Final = 0.2
TRANSACTION_S: Final = (0.1, 0.6)
BEAT_S: Final = 0.05
#: Short, so that a transaction that a dead broker cut in two does not hold up readers for long.
CALL_LIMIT_S: Final = 3.0


class TransactionalShop(threading.Thread):
    """Sends `rate` records a second in transactions, some of which are aborted, until `stop`.

    What is in the log afterwards is the truth: the outcome of a transaction need not be known.
    """

    def __init__(self, access: KafkaAccess, seed: int, run: str, rate: int) -> None:
        super().__init__(name="transactions", daemon=True)
        self._config = access.confluent(
            transactional_id=run,
            transaction_timeout_ms=8_000,
            linger_ms=10,
            partitioner="murmur2_random",
        )
        self._random = Random(seed)
        self._stream = ShopStream(seed, run, DirtShares(duplicates=0.05))
        self._count = max(1, int(rate * BEAT_S))
        self._ended = threading.Event()
        self.committed = 0
        self.aborted = 0
        self.failed = 0

    def run(self) -> None:
        """Works until `stop`; a client that failed is replaced, which aborts what it left open."""
        while not self._ended.is_set():
            try:
                self._work()
            except KafkaException:
                self.failed += 1
                self._ended.wait(0.2)

    def stop(self) -> None:
        """Ends after the transaction under way."""
        self._ended.set()
        self.join()

    def _work(self) -> None:
        producer = Producer(self._config)
        producer.init_transactions(CALL_LIMIT_S)
        while not self._ended.is_set():
            producer.begin_transaction()
            beats = int(self._random.uniform(*TRANSACTION_S) / BEAT_S)
            for _ in range(beats):
                self._send(producer)
                self._ended.wait(BEAT_S)
            if self._random.random() < ABORTED_SHARE:
                producer.flush(CALL_LIMIT_S)
                producer.abort_transaction(CALL_LIMIT_S)
                self.aborted += 1
            else:
                producer.commit_transaction(CALL_LIMIT_S)
                self.committed += 1

    def _send(self, producer: Producer) -> None:
        for record in self._stream.take(self._count, wall_ms()):
            headers: dict[str, str | bytes | None] = {"content-type": CONTENT_TYPE.encode(), HEADER: record.truth}
            producer.produce(record.topic, record.value, record.key, headers=headers)
        producer.poll(0)
