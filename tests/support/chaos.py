"""The stage of the chaos test: servers of its own, topics, and producers that do not stop."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from adapters.embedded.servers import EmbeddedServers
from core.position import PartitionKey
from modes.settings import Settings
from modes.wiring.kafka import wait_for_topics
from tests.support.brokers import Brokers
from tests.support.chaos_audit import Audit
from tests.support.chaos_crew import Crew
from tests.support.chaos_transactions import TransactionalShop
from tests.support.shop_events import TOPICS
from tests.support.waiting import until

PARTITIONS: Final = 4
SOURCES: Final = [PartitionKey(topic, number) for topic in TOPICS for number in range(PARTITIONS)]
#: Events a second at most; half as many as come otherwise.
TRANSACTIONAL_RATE: Final = 200
WINDOW_S: Final = 90
DRAIN_BOUND_S: Final = 60.0


class Stage:
    """Servers and producers in one directory; any number of views count their log."""

    def __init__(self, directory: Path, seed: int, rate: int, brokers: Brokers | None = None) -> None:
        """`rate`: events a second, half as many more come in transactions. `brokers`: the Kafka, or one broker."""
        self._directory = directory
        self._seed = seed
        self._rate = rate
        self._stack = ExitStack()
        self._brokers = brokers
        self.servers = EmbeddedServers(directory, with_kafka=brokers is None)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.servers)
            settings = self.view("producers")
            wait_for_topics(settings)
            self._crew = stack.enter_context(self.crew(settings))
            self._producer = self._crew.start("produce", ends=True)
            self._shop = TransactionalShop(
                settings.access, self._seed, f"tx-{uuid.uuid4().hex[:8]}", min(TRANSACTIONAL_RATE, self._rate // 2)
            )
            self._shop.start()
            stack.callback(self._shop.stop)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def view(self, namespace: str, **more: object) -> Settings:
        """The settings of a view: short epochs, so that they end and are remembered all the time."""
        addresses = self.servers.running()
        assert addresses is not None
        settings = Settings(
            mode="streaming",
            _env_file=None,  # type: ignore[call-arg]
            kafka=addresses.kafka if self._brokers is None else self._brokers.bootstrap,
            redis=addresses.redis,
            data_dir=self._directory,
            namespace=namespace,
            group=namespace,
            partitions=PARTITIONS,
            replication=1 if self._brokers is None else len(self._brokers.numbers),
            epoch_seconds=5,
            horizon_epochs=1,
            lateness_seconds=60,
            # epochs expire during the run
            window_hours=WINDOW_S / 3600,
            seed=self._seed,
            rate=self._rate,
            dirt_duplicates=0.05,
            dirt_late=0.01,
            dirt_out_of_order=0.05,
            dirt_broken_json=0.003,
            dirt_garbage=0.003,
        )
        return settings.model_copy(update=more)

    def crew(self, settings: Settings, command: Sequence[str] = ()) -> Crew:
        """Processes with these settings; see `Crew`."""
        return Crew(settings, self._directory / "logs" / settings.namespace, command)

    def audit(self, settings: Settings) -> Audit:
        """An audit of the log under the rules of a view."""
        return Audit(settings.access, SOURCES, settings.rules)

    def end_producers(self) -> None:
        """Returns when all that was produced is in the log."""
        self._shop.stop()
        producer = self._producer
        self._crew.send(producer, signal.SIGTERM)
        until(lambda: producer.state != "running", within_s=DRAIN_BOUND_S, what="the producer's end")
        assert producer.state == "done", producer.last_words()

    @property
    def notes(self) -> list[str]:
        """What went wrong with the producers without our doing."""
        return self._crew.notes

    @property
    def transactions(self) -> str:
        """What the transactional producer did, in words."""
        shop = self._shop
        return f"{shop.committed} transactions committed, {shop.aborted} aborted, {shop.failed} broken by faults"


class World(NamedTuple):
    """A stage, and the roles of one view on it."""

    stage: Stage
    settings: Settings
    crew: Crew
