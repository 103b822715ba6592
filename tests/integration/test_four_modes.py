"""The same input in all four modes: equal to the truth each promises, and to one another where duplicates are in reach."""

from __future__ import annotations

import pytest

from adapters.kafka.log import Entry, LogReader
from core.cut import Cut
from core.delta import DUPLICATES
from core.position import PartitionKey
from modes.catalogue import MODES
from modes.settings import Settings
from modes.verdict import judge
from modes.wiring.answers import auditor
from tests.support.counting import counting, whole
from tests.support.product import produce
from tests.support.raw_log import Row, expected

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
