"""`fourfold process`: one Faust worker."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from adapters.kafka.dead_letters import DeadLetterProducer
from adapters.speed.redis_errors import Patience
from adapters.vitals import Vitals
from core.errors import ConfigurationError, UnavailableError
from modes.pipelines import kernel_of
from modes.roles.service import telemetry_of
from modes.settings import Settings
from modes.wiring.kafka import wait_for_topics
from modes.wiring.lake import cut_positions
from modes.wiring.speed import check_redis, consumer_group, group_token, job_start, speed_sink
from processors.worker import FaustWorker, WorkerSettings

log = structlog.get_logger(__name__)

#: Leaving the group takes a while where Kafka does not answer.
BOUND_S: Final = 30.0

#: Redis is asked again so often while it is away.
PAUSE_S: Final = 0.5


def process(settings: Settings) -> int:
    """Runs one worker until SIGTERM or SIGINT; its exit code."""
    check_redis(settings)
    wait_for_topics(settings)
    token, start = _asked(settings)
    group = consumer_group(settings, token)
    worker = FaustWorker(
        WorkerSettings(
            settings.access,
            group,
            settings.rules,
            kernel_of(settings),
            cut_positions(settings),
            retention_ms=settings.retention_ms,
        ),
        speed_sink(settings, token, start),
        DeadLetterProducer(settings.access),
    )
    vitals = Vitals()
    vitals.watch("faust", check=worker.check)
    vitals.watch("watchdog", beats=lambda: worker.looks)
    telemetry = telemetry_of(settings, WorkerMetrics(worker), vitals, lambda: worker.ready)
    log.info("processing", group=group, view=settings.speed_view, logic=settings.logic, metrics=telemetry.address)
    with vitals.running(worker.stop, bound_s=BOUND_S):
        code = worker.run()
    vitals.check()
    return code


def _asked(settings: Settings) -> tuple[str, str]:
    """What the group's name ends with, and the start of the job version; waits for Redis where it is away.

    Raises `ConfigurationError` where that does not pass by itself, as a replica that never becomes a master.
    """
    told, patience = False, Patience()
    while True:
        try:
            return group_token(settings), job_start(settings)
        except UnavailableError as error:
            if isinstance(judged := patience.judged(error), ConfigurationError):
                raise judged from error
            if not told:
                log.warning("waiting", reason=str(error))
            told = True
            time.sleep(PAUSE_S)


class WorkerMetrics(Collector):
    """What a worker has done."""

    def __init__(self, worker: FaustWorker) -> None:
        self._worker = worker

    def collect(self) -> Iterable[Metric]:
        """Called for each scrape."""
        work, book = self._worker.processor.work, self._worker.book
        for name, value, text in (
            ("fourfold_worker_batches_total", work.batches, "Polls that were counted."),
            ("fourfold_worker_records_total", work.records, "Records that were counted."),
            ("fourfold_worker_stale_batches_total", work.stale, "Polls that came after a rebalance, left out."),
            ("fourfold_worker_conflicts_total", work.conflicts, "Polls that were thrown away and read again."),
            ("fourfold_worker_retries_total", work.retries, "Tries again because a server was away."),
            ("fourfold_worker_restores_total", book.restores, "Times that positions were restored."),
        ):
            yield CounterMetricFamily(name, text, value=value)
        letters = CounterMetricFamily(
            "fourfold_worker_dead_letters_total", "Records that were rejected, by reason.", labels=["reason"]
        )
        for reason in self._worker.reasons:
            letters.add_metric([reason], work.rejected[reason])
        yield letters
        lag = GaugeMetricFamily(
            "fourfold_worker_lag_records",
            "Records in the log that are not counted yet, by partition that the worker owns.",
            labels=["topic", "partition"],
        )
        for source, records in self._worker.lag.items():
            lag.add_metric([source.topic, str(source.partition)], records)
        yield lag
        held = list(book.held.values())
        remembered = sum(state.fold.remembered for state in held)
        for name, value, text in (
            ("fourfold_worker_partitions", len(held), "Partitions that the worker owns."),
            ("fourfold_worker_remembered_ids", remembered, "Event ids in memory, to recognise duplicates."),
            ("fourfold_worker_waiting", int(work.waiting), "1 while a server is away, else 0."),
        ):
            yield GaugeMetricFamily(name, text, value=value)
