"""What events can add up to, by the limits of their fields."""

from __future__ import annotations

import pytest

from core.event_bounds import Bounds, EventBounds, bounds_of
from core.event_counts import events_of, rank_of
from tests.support.shop import SHOP, cell_of
from tests.support.trips import TRIPS


def test_the_bounds_of_the_shop() -> None:
    found = {name: bounds_of(measure) for name, measure in SHOP.measures.items()}
    assert found == {"clicks": (1, 1), "sales": (1, 1), "units": (1, 10_000), "revenue_cents": (0, 10**12)}


def test_conditions_and_absent_fields_may_add_nothing() -> None:
    assert bounds_of(TRIPS.measures["long"]) == Bounds(0, 1)
    assert bounds_of(TRIPS.measures["fares"]) == Bounds(-5_000, 50_000)
    assert bounds_of(TRIPS.measures["costs"]) == Bounds(-5_000, 50_000)


@pytest.mark.parametrize(
    ("extra", "possible"),
    [
        (cell_of(3, 2, 2, 0), (True, True, True, True)),
        (cell_of(3, 2, 20_000, 2 * 10**12), (True, True, True, True)),
        (cell_of(3, 2, 1, 0), (True, True, False, True)),
        (cell_of(3, 2, 20_001, 2 * 10**12 + 1), (True, True, False, False)),
        (cell_of(-1, 0, 0, 1), (False, True, True, False)),
        (cell_of(0, -1, -1, 0), (True, False, False, False)),
    ],
)
def test_what_the_shop_s_events_can_have_added(extra: tuple[int, ...], possible: tuple[bool, ...]) -> None:
    assert EventBounds(SHOP).possible(extra, 5) == possible


def test_events_of_a_cell_are_those_that_measures_count() -> None:
    assert events_of(SHOP)(cell_of(3, 2, 9, 9)) == rank_of(SHOP)(cell_of(3, 2, 9, 9)) == 5
    assert events_of(TRIPS)((4, 9, 9, 9, 2, 9)) == 6
