"""`fourfold process`: one Faust worker."""

from __future__ import annotations

from collections.abc import Iterable

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from adapters.kafka.dead_letters import DeadLetterProducer
from core.logic import logic_named
from modes.roles.service import telemetry_of
from modes.settings import Settings
from modes.wiring import cut_positions, speed_sink, wait_for_topics
from processors.worker import FaustWorker, WorkerSettings

log = structlog.get_logger(__name__)


def process(settings: Settings) -> int:
    """Runs one worker until SIGTERM or SIGINT; its exit code."""
    wait_for_topics(settings)
    worker = FaustWorker(
        WorkerSettings(
            settings.access, settings.group, settings.rules, cut_positions(settings), logic=logic_named(settings.logic)
        ),
        speed_sink(settings),
        DeadLetterProducer(settings.access),
    )
    telemetry = telemetry_of(settings, _WorkerMetrics(worker), lambda: worker.ready)
    log.info(
        "processing", group=settings.group, view=settings.speed_view, logic=settings.logic, metrics=telemetry.address
    )
    return worker.run()


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
