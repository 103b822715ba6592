"""How fine event time is kept where counts are kept for good."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cells import MINUTE_MS, Cell, CellKey
from core.errors import ConfigurationError
from core.rollup import BY_MINUTES, DAY, HOUR, USUAL, Grain, Rollup, rollup_of

NOW = 20_000 * DAY + 13 * HOUR + 7


def test_a_day_is_kept_by_minutes_a_month_by_hours_and_the_rest_by_days() -> None:
    grain = USUAL.grain(NOW * MINUTE_MS)
    assert grain == Grain(19_999 * DAY + 13 * HOUR, 19_969 * DAY)
    places = [NOW, grain.hours_below, grain.hours_below - 1, grain.days_below, grain.days_below - 1]
    assert [grain.width(minute) for minute in places] == [1, 1, HOUR, HOUR, DAY]
    assert [grain.start(minute) for minute in places] == [
        NOW,
        grain.hours_below,
        grain.hours_below - HOUR,
        grain.days_below,
        grain.days_below - DAY,
    ]


def test_a_view_without_events_or_with_few_keeps_all_minutes() -> None:
    assert USUAL.grain(0) == BY_MINUTES
    assert BY_MINUTES.refusal("start", 7) == ""


@given(st.integers(0, 100 * DAY), st.integers(0, 100 * DAY), st.integers(2, 40), st.integers(2, 60))
def test_as_time_goes_on_it_gets_coarser_and_never_finer(one: int, other: int, hours: int, days: int) -> None:
    rollup = Rollup(hours * HOUR, max(hours * HOUR, days * DAY))
    early, late = sorted((one, other))
    before, after = rollup.grain(early * MINUTE_MS), rollup.grain(late * MINUTE_MS)
    assert before.coarser(after) == after
    for minute in (0, early, late):
        # what was rolled up before is not torn by what is rolled up later
        assert after.start(before.start(minute)) == after.start(minute)


def test_cells_are_added_up_as_they_are_kept() -> None:
    grain = Grain(2 * DAY, DAY)
    cells = {CellKey(minute, "all", ""): Cell((1,)) for minute in (1, 70, DAY + 1, DAY + 59, DAY + 60, 2 * DAY + 1)}
    assert grain.cells(cells) == {
        CellKey(0, "all", ""): Cell((2,)),
        CellKey(DAY, "all", ""): Cell((2,)),
        CellKey(DAY + 60, "all", ""): Cell((1,)),
        CellKey(2 * DAY + 1, "all", ""): Cell((1,)),
    }
    assert BY_MINUTES.cells(cells) == cells


@pytest.mark.parametrize(
    ("minute", "says"),
    [
        (0, ""),
        (DAY, ""),
        (DAY + 60, ""),
        (2 * DAY + 1, ""),
        (1, "keeps days and no minutes: let the start be 1970-01-01T00:00:00.000Z"),
        (60, "keeps days"),
        (DAY + 61, "keeps hours and no minutes: let the start be 1970-01-02T01:00:00.000Z"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_what_can(minute: int, says: str) -> None:
    found = Grain(2 * DAY, DAY).refusal("start", minute)
    assert says in found
    assert bool(found) == bool(says)


@pytest.mark.parametrize(("hours", "days", "says"), [(119, DAY, "2h at least"), (2 * DAY, DAY, "as long as minutes")])
def test_what_would_lose_what_is_shown_is_refused(hours: int, days: int, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        rollup_of(hours, days)
