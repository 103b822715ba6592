"""The roles one by one, as compose and the supervisor run them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterable

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from adapters.kafka.dead_letters import DeadLetterProducer
from adapters.telemetry import Telemetry
from modes.settings import Settings
from modes.wiring import dirt, speed_sink, wait_for_topics
from processors.worker import FaustWorker, WorkerSettings
from producers.emitter import Emitter
from producers.pacer import Pacer
from producers.profile import DayStream
from producers.role import Source, Stats, run
from producers.shop import shoppers_for
from producers.stream import ShopStream

log = structlog.get_logger(__name__)


def produce(settings: Settings, duration_s: float | None) -> Stats:
    """Produces until SIGTERM or SIGINT, the end of the day profile, or `duration_s`."""
    wait_for_topics(settings)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    identity = settings.run or f"{settings.seed}-{int(time.time()):x}-{os.getpid():x}"
    source: Source
    if settings.profile:
        source = day = DayStream(settings.seed, identity, settings.day_seconds)
        pacer = Pacer(day.rate)
    else:
        source = ShopStream(settings.seed, identity, dirt(settings), shoppers=shoppers_for(settings.rate))
        pacer = Pacer(settings.rate)
    emitter = Emitter(settings.access.confluent())
    collected = _ProducerMetrics()
    telemetry = _telemetry(settings, collected)
    log.info("producing", run=identity, rate=settings.rate, metrics=telemetry.address)
    stats = run(emitter, source, pacer, stop, collected.take, duration_s=duration_s)
    log.info("produced", records=stats.produced, delivered=stats.delivered, failed=stats.failed)
    return stats


def process(settings: Settings) -> int:
    """Runs one worker until SIGTERM or SIGINT; its exit code."""
    wait_for_topics(settings)
    worker = FaustWorker(
        WorkerSettings(settings.access, settings.group, settings.rules),
        speed_sink(settings),
        DeadLetterProducer(settings.access),
    )
    telemetry = _telemetry(settings, _WorkerMetrics(worker), lambda: worker.ready)
    log.info("processing", group=settings.group, view=settings.namespace, metrics=telemetry.address)
    return worker.run()


class _ProducerMetrics(Collector):
    """What a producer reported last."""

    def __init__(self) -> None:
        self._stats = Stats()

    def take(self, stats: Stats) -> None:
        """Keeps the report."""
        self._stats = stats

    def collect(self) -> Iterable[Metric]:
        """Called for each scrape."""
        stats = self._stats
        for name, value, text in (
            ("produced", stats.produced, "records handed to the client"),
            ("delivered", stats.delivered, "records acknowledged by Kafka"),
            ("failed", stats.failed, "records that Kafka refused"),
            ("blocked", stats.blocked, "waits for a full buffer"),
        ):
            yield CounterMetricFamily(f"fourfold_producer_{name}", text, value=value)
        kinds = CounterMetricFamily("fourfold_producer_kind", "records by kind", labels=["kind"])
        for kind, count in stats.by_kind.items():
            kinds.add_metric([kind], count)
        yield kinds


class _WorkerMetrics(Collector):
    """What a worker has done."""

    def __init__(self, worker: FaustWorker) -> None:
        self._worker = worker

    def collect(self) -> Iterable[Metric]:
        """Called for each scrape."""
        work, book = self._worker.processor.work, self._worker.book
        for name, value, text in (
            ("batches", work.batches, "batches counted"),
            ("records", work.records, "records counted"),
            ("dead_letters", work.dead_letters, "records rejected"),
            ("stale", work.stale, "batches that came after a rebalance"),
            ("conflicts", work.conflicts, "batches thrown away and read again"),
            ("retries", work.retries, "tries again because a server was away"),
            ("restores", book.restores, "times that positions were restored"),
        ):
            yield CounterMetricFamily(f"fourfold_worker_{name}", text, value=value)
        held = list(book.held.values())
        remembered = sum(state.fold.remembered for state in held)
        yield GaugeMetricFamily("fourfold_worker_partitions", "partitions owned", value=len(held))
        yield GaugeMetricFamily("fourfold_worker_remembered_ids", "ids in memory", value=remembered)
        yield GaugeMetricFamily("fourfold_worker_waiting", "1 while a server is away", value=float(work.waiting))


def _telemetry(settings: Settings, collector: Collector, ready: object = None) -> Telemetry:
    registry = CollectorRegistry()
    registry.register(collector)
    check = ready if callable(ready) else lambda: True
    return Telemetry(settings.metrics_host, settings.metrics_port, registry, check)
