"""`fourfold produce`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from adapters.kafka.append_time import newest_append_ms
from adapters.vitals import Vitals
from core.errors import ConfigurationError
from modes.pipelines import pipeline_of
from modes.roles.service import stop_event, telemetry_of
from modes.settings import Settings
from modes.wiring.kafka import topics, wait_for_topics
from modes.wiring.traffic import dirt, resend_span_ms
from producers.clock_check import ClockCheck
from producers.delivery_watch import DeliveryWatch
from producers.emitter import Emitter
from producers.pacer import Pacer
from producers.profile import DayStream
from producers.role import FLUSH_S, Source, Stats, run, wall_ms
from producers.scheduled import ScheduledStream
from producers.shop import GENERATOR, shoppers_for
from producers.stream import ShopStream
from producers.variants import variants_of

log = structlog.get_logger(__name__)

#: Ends after what is under way was flushed.
BOUND_S = FLUSH_S + 10


def produce(settings: Settings, duration_s: float | None, events: int | None = None) -> Stats:
    """Produces until SIGTERM or SIGINT, the end of the day profile, `duration_s`, or so many events on a schedule.

    Raises `ConfigurationError` for a schedule without a rate, and for a pipeline that nothing makes events of.
    """
    pipeline = pipeline_of(settings)
    if pipeline.generator != GENERATOR:
        raise ConfigurationError(
            f"nothing makes synthetic events of the pipeline {pipeline.name}: send events to {', '.join(pipeline.topics)}"
        )
    wait_for_topics(settings)
    stop = stop_event()
    identity = settings.run or f"{settings.seed}-{int(time.time()):x}-{os.getpid():x}"
    source: Source
    if settings.profile:
        source = day = DayStream(settings.seed, identity, settings.day_seconds, variants=variants_of(pipeline))
        pacer = Pacer(day.rate)
    else:
        source = shop = ShopStream(
            settings.seed,
            identity,
            dirt(settings),
            variants=variants_of(pipeline),
            shoppers=shoppers_for(settings.rate),
            resend_tail_ms=resend_span_ms(settings),
        )
        if events is not None:
            if not settings.rate:
                raise ConfigurationError("--events is a schedule and needs a rate: --rate 3000")
            source = ScheduledStream(shop, settings.rate, events)
        pacer = Pacer(settings.rate)
    emitter = Emitter(settings.access.confluent())
    collected = ProducerMetrics()
    vitals = Vitals()
    telemetry = telemetry_of(settings, collected, vitals)
    log.info("producing", run=identity, rate=settings.rate, metrics=telemetry.address)
    with vitals.running(stop.set, bound_s=BOUND_S), _watched(settings, emitter):
        stats = run(emitter, source, pacer, stop, collected.take, duration_s=duration_s)
    log.info("produced", records=stats.produced, delivered=stats.delivered, failed=stats.failed)
    vitals.check()
    return stats


@contextmanager
def _watched(settings: Settings, emitter: Emitter) -> Iterator[None]:
    """Says meanwhile what keeps records away from the log, and out of the counts."""
    known = topics(settings)
    partitions = known.partitions()
    threads = (
        ClockCheck(lambda: newest_append_ms(settings.access, partitions), lambda: emitter.delivered, wall_ms),
        DeliveryWatch(lambda: emitter.produced - emitter.failed, lambda: emitter.delivered, known.hindrance),
    )
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.stop()


class ProducerMetrics(Collector):
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
            ("fourfold_producer_delivered_records_total", stats.delivered, "Records acknowledged by Kafka."),
            ("fourfold_producer_failed_records_total", stats.failed, "Records that Kafka refused."),
            ("fourfold_producer_blocked_total", stats.blocked, "Waits for room in a full buffer."),
        ):
            yield CounterMetricFamily(name, text, value=value)
        kinds = CounterMetricFamily(
            "fourfold_producer_records_total", "Records handed to the client, by what they are.", labels=["kind"]
        )
        for kind, count in stats.by_kind.items():
            kinds.add_metric([kind], count)
        yield kinds
        yield GaugeMetricFamily(
            "fourfold_producer_lag_records",
            "Records handed to the client that Kafka has not acknowledged yet.",
            value=max(0, stats.produced - stats.delivered - stats.failed),
        )
