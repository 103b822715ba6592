"""The same input in all four modes: equal to the truth each promises, and to one another where duplicates are in reach."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from adapters.kafka.log import Entry, LogReader
from core.cut import Cut
from core.delta import DUPLICATES
from core.errors import UnavailableError
from core.position import PartitionKey, Vector, covers
from modes.catalogue import MODES, Role
from modes.crew import Crew
from modes.settings import Settings
from modes.verdict import judge
from modes.wiring.answers import auditor, merge
from serving.answer import Answer
from tests.support.product import produce
from tests.support.raw_log import Row, expected
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

SECONDS, RATE = 6, 1_500
EPOCH_S = 1.0
#: Epochs: more than the log lasts.
LONG = 120


@pytest.fixture
def shop(settings: Settings) -> Settings:
    """Settings over a log of a few seconds with much dirt, which nobody appends to any more."""
    dirty = settings.model_copy(
        update={
            "epoch_seconds": EPOCH_S,
            "cut_margin_seconds": 0.5,
            "dirt_duplicates": 0.1,
            "dirt_late": 0.05,
            "dirt_wrong_type": 0.03,
            "dirt_garbage": 0.03,
        }
    )
    produce(dirty, SECONDS, RATE)
    return dirty


def log_of(settings: Settings) -> list[Row]:
    """All that is in the log."""
    with auditor(settings) as witness:
        ends = witness.ends_now()
    with LogReader(settings.access, ends) as reader:
        entries = [entry for entry in reader.read_to_end() if isinstance(entry, Entry)]
    return [Row(e.source, e.offset, e.append_ms, e.key, e.value) for e in entries]


def ends_of(rows: list[Row]) -> dict[PartitionKey, int]:
    """Partition to the offset behind its last record."""
    ends: dict[PartitionKey, int] = {}
    for row in rows:
        ends[row.source] = max(ends.get(row.source, 0), row.offset + 1)
    return ends


@contextmanager
def counting(settings: Settings, mode: str, horizon: int) -> Iterator[Settings]:
    """All that counts in a mode; nothing produces."""
    own = settings.model_copy(
        update={"mode": mode, "horizon_epochs": horizon, "namespace": f"{settings.namespace}-{mode}-{horizon}"}
    )
    own = own.model_copy(update={"group": own.namespace, "lake": settings.data_dir / own.namespace})
    with Crew(own, without=[Role.PRODUCE, Role.SERVE], batch_every=0.5).start():
        yield own


def whole(settings: Settings, ends: Vector) -> Answer:
    """The answer that counts all, by the batch view alone where there is one."""
    source = merge(settings)

    def found() -> Answer | None:
        try:
            answer = source.answer()
        except UnavailableError:
            return None
        vector = answer.cut.vector if answer.cut else {} if settings.mode_row.batch_view else answer.vector
        return answer if covers(vector, ends) else None

    try:
        return until(found, within_s=60, what=f"{settings.mode} to count all")
    finally:
        source.close()


@pytest.mark.versions
def test_with_every_duplicate_in_reach_all_four_are_equal(shop: Settings) -> None:
    log = log_of(shop)
    ends = ends_of(log)
    assert len(log) > 0.9 * SECONDS * RATE
    for mode in MODES:
        with counting(shop, mode, LONG) as settings:
            answer = whole(settings, ends)
            reference = expected(log, Cut(0, ends), settings.rules)
            assert reference.counters[DUPLICATES] > 100
            assert answer.cells() == reference.cells, mode
            assert dict(answer.counters) == reference.counters, mode
            _, verdict = judge(settings)
            assert verdict.exact, (mode, verdict.differences[:5])


def test_beyond_the_horizon_each_mode_equals_the_truth_that_it_promises(shop: Settings) -> None:
    log = log_of(shop)
    ends = ends_of(log)
    for mode, row in MODES.items():
        with counting(shop, mode, 1) as settings:
            answer = whole(settings, ends)
            _, verdict = judge(settings)
            assert verdict.exact, (mode, verdict.differences[:5])
            reference = expected(log, Cut(0, ends), settings.rules)
            # the ideal truth below a cut, and what a horizon of two seconds lets through elsewhere
            assert (answer.cells() == reference.cells) is row.batch_view
            assert (verdict.duplicates_beyond_horizon > 0) is not row.batch_view
            assert (verdict.accuracy == 1) is row.batch_view
