"""Answers put together: what merges the views, says where they come from, and audits them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from modes.pipelines import pipeline_of
from modes.settings import Settings
from modes.wiring.kafka import ends_source, topics
from modes.wiring.lake import view_store
from modes.wiring.speed import speed_reader
from serving.answer import Answer
from serving.live import TruthSource, Unaudited
from serving.log_ends import LogEnds
from serving.merge import Merge
from serving.provenance import Provenance

if TYPE_CHECKING:
    # loaded by those who audit
    from serving.auditor import Auditor


def merge(settings: Settings, *, whole: bool = True) -> Merge:
    """What answers, made of the views that the mode has.

    `whole`: each answer has all cells of the speed view; otherwise sums are there at once, cells come with later ones,
    and no answer tells epochs apart where none expires.
    """
    row, pipeline = settings.mode_row, pipeline_of(settings)
    speed = speed_reader(settings, by_epoch=whole or not row.keeps_all) if row.speed_view else None
    if not row.batch_view:
        return Merge(speed, None, pipeline, whole=whole)
    from adapters.lake.batch_view import BatchViews

    return Merge(speed, BatchViews(view_store(settings), pipeline), pipeline, whole=whole)


def provenance(settings: Settings) -> Provenance:
    """What says where an answer comes from."""
    return Provenance(settings.mode, settings.view, settings.rules, settings.batch_seconds, settings.logic)


def auditor(settings: Settings, *, follows: bool = False) -> Auditor:
    """An auditor of the log; `follows`: as of `LogReader`. Raises `UnavailableError` where Kafka does not answer."""
    from serving.auditor import Auditor

    return Auditor(settings.access, topics(settings).partitions, settings.rules, pipeline_of(settings), follows)


@contextmanager
def live_truth(settings: Settings) -> Iterator[TruthSource]:
    """Who follows the log for a live view: the auditor, or, where that is switched off, who knows the log's ends alone."""
    if not settings.audit:
        with LogEnds(ends_source(settings)) as ends:
            yield Unaudited(ends.newest)
        return
    from serving.auditor import LiveAuditor

    follower = LiveAuditor(lambda: auditor(settings, follows=True))
    follower.start()
    try:
        yield follower
    finally:
        follower.stop()


def answer_of(settings: Settings, *, whole: bool = True) -> Answer:
    """The answer now; `whole`: as of `merge`. Raises `UnavailableError` where there is none."""
    source = merge(settings, whole=whole)
    try:
        return source.answer()
    finally:
        source.close()
