"""`fourfold batch`: cycles of the batch layer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from adapters.effort import cpu_s_of_all
from adapters.vitals import Vitals
from batch.cycle import CycleReport
from core.delta import REJECTED
from core.errors import ConfigurationError, FourfoldError
from modes.pipelines import pipeline_of
from modes.roles.service import stop_event, telemetry_of
from modes.settings import Settings
from modes.wiring.batch import batch_cycle
from modes.wiring.kafka import wait_for_topics

log = structlog.get_logger(__name__)

#: A batch cycle that failed is tried again after so long, at most.
RETRY_S: Final = 5.0
#: The processes of a cycle that hangs still take some CPU time: less than this many seconds in `adapters.vitals.HUNG_S`.
IDLE_S: Final = 5.0
#: Looking at all processes costs time, too.
LOOK_EVERY_S: Final = 5.0


def batch(settings: Settings, every_s: float | None, engine: str, *, accept_loss: bool) -> None:
    """Runs batch cycles until SIGTERM or SIGINT; one cycle where `every_s` is None.

    Raises `FourfoldError` where the one cycle fails. In a series a failure is told and the next
    cycle tries again; wrong configuration ends it.
    """
    wait_for_topics(settings)
    stop = stop_event()
    metrics = BatchMetrics(pipeline_of(settings).reasons)
    vitals = Vitals()
    with ExitStack() as stack:
        signs = CycleSigns()
        cycle = batch_cycle(settings, stack, engine=engine, accept_loss=accept_loss, moved=signs.moved)
        if every_s is None:
            metrics.take(cycle.run())
            return
        telemetry = telemetry_of(settings, metrics, vitals, lambda: metrics.good)
        vitals.watch("batch cycle", beats=lambda: signs.beats)
        # a cycle may be ended anywhere: the next one goes on from what is kept
        stack.enter_context(vitals.running(stop.set))
        log.info("batch cycles", every_s=every_s, lake=str(settings.lake_dir), metrics=telemetry.address)
        while not stop.is_set():
            began = time.monotonic()
            try:
                with signs.at_work():
                    report = cycle.run()
            except ConfigurationError:
                raise
            except FourfoldError as error:
                metrics.fail()
                log.warning("batch cycle failed, the next one tries again", reason=str(error))
                stop.wait(min(every_s, RETRY_S))
                continue
            metrics.take(report)
            if report.version is not None:
                log.info(
                    "published",
                    version=report.version.version,
                    archived=report.archived,
                    **{f"{name}_s": seconds for name, seconds in report.seconds.items()},
                )
            stop.wait(max(0.0, every_s - (time.monotonic() - began)))
        vitals.check()


def recompute(settings: Settings, engine: str, *, full: bool, accept_loss: bool) -> CycleReport:
    """One batch cycle. Raises as `Cycle.run`."""
    with ExitStack() as stack:
        return batch_cycle(settings, stack, engine=engine, accept_loss=accept_loss).run(full=full)


class CycleSigns:
    """Whether a batch cycle that is at work moves: records arrive, or processors are busy. For vitals."""

    def __init__(self, cpu_s: Callable[[], float] = cpu_s_of_all, clock: Callable[[], float] = time.monotonic) -> None:
        """`cpu_s`: of this process and those over which it spreads work."""
        self._cpu_s = cpu_s
        self._clock = clock
        self._at_work = False
        self._moves = 0
        self._looked_at = float("-inf")
        self._used = 0

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """While a cycle runs."""
        self._at_work = True
        try:
            yield
        finally:
            self._at_work = False

    def moved(self) -> None:
        """Records have arrived."""
        self._moves += 1

    @property
    def beats(self) -> int:
        """A number that changes while the cycle moves; 0 between cycles."""
        if not self._at_work:
            return 0
        if self._clock() - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = self._clock()
            self._used = int(self._cpu_s() / IDLE_S)
        return 1 + self._moves + self._used


class BatchMetrics(Collector):
    """What the batch cycles did."""

    def __init__(self, reasons: Iterable[str]) -> None:
        """`reasons`: why records may be rejected."""
        self._reasons = tuple(reasons)
        self.good = False
        self._cycles = self._failures = self._archived = 0
        self._last = CycleReport(None)

    def take(self, report: CycleReport) -> None:
        """Keeps the report of a cycle."""
        self.good = True
        self._cycles += 1
        self._archived += report.archived
        if report.version is not None:
            self._last = report

    def fail(self) -> None:
        """A cycle failed."""
        self.good = False
        self._failures += 1

    def collect(self) -> Iterable[Metric]:
        """Called for each scrape."""
        for name, value, text in (
            ("fourfold_batch_cycles_total", self._cycles, "Batch cycles that ended well."),
            ("fourfold_batch_failures_total", self._failures, "Batch cycles that failed."),
            ("fourfold_batch_archived_records_total", self._archived, "Records copied into the raw table."),
        ):
            yield CounterMetricFamily(name, text, value=value)
        version = self._last.version
        for name, now, text in (
            ("fourfold_batch_version", version.version if version else 0.0, "Number of the version published last."),
            ("fourfold_batch_cut_epoch", version.cut.epoch if version else 0.0, "Epoch of its cut."),
            (
                "fourfold_batch_version_timestamp_seconds",
                version.created_ms / 1000 if version else 0.0,
                "When the version published last was made, in seconds since 1970; 0: none yet.",
            ),
        ):
            yield GaugeMetricFamily(name, text, value=now)
        letters = GaugeMetricFamily(
            "fourfold_batch_dead_letters", "Records that this version rejects, by reason.", labels=["reason"]
        )
        for reason in self._reasons:
            letters.add_metric([reason], version.counters.get(REJECTED + reason, 0) if version else 0)
        yield letters
        phases = GaugeMetricFamily(
            "fourfold_batch_phase_duration_seconds",
            "Seconds that the phases of the cycle took that published last.",
            labels=["phase"],
        )
        for phase, seconds in self._last.seconds.items():
            phases.add_metric([phase], seconds)
        yield phases
