"""The log put together: its topics, its ends, the places of its epochs."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from adapters.kafka.bounds import LogBounds
from adapters.kafka.cut import CutFinder
from adapters.kafka.preflight import preflight
from adapters.kafka.topics import Topics
from core.errors import UnavailableError
from core.position import PartitionKey
from modes.pipelines import pipeline_of
from modes.settings import Settings

log = structlog.get_logger(__name__)


def check_kafka(settings: Settings) -> None:
    """Raises `ConfigurationError` where a Kafka is set that cannot be used, however long one waits."""
    if settings.kafka:
        for doubt in preflight(settings.access):
            log.warning("kafka", doubt=doubt)


def topics(settings: Settings) -> Topics:
    """The topics' administration."""
    return Topics(settings.access, pipeline_of(settings).topics)


def wait_for_topics(settings: Settings, patience_s: float = 60.0, pause_s: float = 0.5) -> None:
    """Makes the topics, waiting for Kafka where it is away. Raises as `Topics.ensure`."""
    end = time.monotonic() + patience_s
    told = False
    while True:
        try:
            made = topics(settings).ensure(
                partitions=settings.partitions,
                retention_ms=settings.retention_ms,
                replication=settings.replication,
            )
        except UnavailableError as error:
            check_kafka(settings)
            if time.monotonic() > end:
                raise
            if not told:
                log.warning("waiting", reason=str(error))
            told = True
            time.sleep(pause_s)
        else:
            if made:
                log.info("topics made", topics=made)
            return


def ends_source(settings: Settings) -> Callable[[], dict[PartitionKey, int]]:
    """Asks Kafka for the end of each partition, over one connection. It raises `UnavailableError`."""
    bounds, admin = LogBounds(settings.access), topics(settings)

    def ends() -> dict[PartitionKey, int]:
        # each time: partitions can be added
        return {source: end for source, (_, end) in bounds.of(admin.partitions()).items()}

    return ends


def cut_finder(settings: Settings) -> CutFinder:
    """What finds the places of epochs in the log."""
    return CutFinder(
        settings.access,
        pipeline_of(settings).topics,
        epoch_ms=settings.rules.epoch_ms,
        margin_ms=int(settings.cut_margin_seconds * 1000),
        replication=settings.replication,
    )
