"""What records without a truth header explain, and what they do not."""

from __future__ import annotations

import pytest

from core.cells import Cell, CellKey
from serving.live_error import LiveError
from serving.surplus import surplus_differences
from tests.support.shop import SHOP, cell_of

MINUTE = 29_000_000


def cells(click: int = 0, sale: tuple[int, int, int] = (0, 0, 0), value: str = "a") -> dict[CellKey, Cell]:
    """The cells of some clicks, and of (sales, units, cents), all with one value in each dimension."""
    cell = cell_of(click, *sale)
    names = {"all": "", "campaign": value, "product": value, "country": value}
    return {CellKey(MINUTE, dimension, name): cell for dimension, name in names.items()}


def found(view, counters, true=None, true_counters=None, unaudited=1):
    return list(surplus_differences(SHOP, view, counters, true or {}, true_counters or {}, unaudited))


@pytest.mark.parametrize(
    ("view", "counters"),
    [
        (cells(1), {"accepted": 1}),
        (cells(1), {"accepted": 1, "late": 1}),
        (cells(0, (1, 1, 0)), {"accepted": 1}),
        (cells(0, (1, 10_000, 10**12)), {"accepted": 1}),
        ({}, {"duplicates": 1}),
        ({}, {"rejected:not_json": 1}),
    ],
)
def test_one_record_may_be_anything_that_a_record_can_be(view, counters):
    assert found(view, counters) == []


@pytest.mark.parametrize(
    ("view", "counters"),
    [
        ({}, {}),
        (cells(2), {"accepted": 2}),
        (cells(1), {"accepted": 1, "duplicates": 1}),
        (cells(2), {"accepted": 1}),
        (cells(1), {"rejected:not_json": 1}),
        (cells(0, (1, 0, 5)), {"accepted": 1}),
        (cells(0, (1, 10_001, 5)), {"accepted": 1}),
        (cells(0, (1, 1, 10**12 + 1)), {"accepted": 1}),
        (cells(1, (0, 3, 0)), {"accepted": 1}),
        (cells(1), {"accepted": 1, "late": 2}),
        ({key: cell for key, cell in cells(1).items() if key.dimension != "country"}, {"accepted": 1}),
    ],
)
def test_more_or_less_than_one_record_can_add_is_a_difference(view, counters):
    assert found(view, counters)


def test_what_audited_records_count_for_must_be_there():
    true, counters = cells(3, (2, 4, 500)), {"accepted": 5, "rejected:not_json": 2}
    view = dict(true)
    assert found(view, counters | {"duplicates": 1}, true, counters) == []
    short = {key: cell_of(2, 2, 4, 500) for key in true}
    assert found(short, counters | {"duplicates": 1}, true, counters)
    assert found(view, counters | {"duplicates": 2, "rejected:not_json": 1}, true, counters)


def test_the_live_error_is_what_is_not_explained():
    true = {("all", ""): cell_of(5, 1, 1, 100), ("country", "DE"): cell_of(5, 1, 1, 100)}
    more = {key: cell_of(6, 1, 1, 100) for key in true}
    assert LiveError(SHOP).of(true, true, 1) == 0
    assert LiveError(SHOP).of(more, true, 1) == 0
    assert LiveError(SHOP).of({key: cell_of(8, 1, 1, 100) for key in true}, true, 1) == 4
    assert LiveError(SHOP).of({key: cell_of(4, 1, 1, 100) for key in true}, true, 1) == 2
    assert LiveError(SHOP).of({key: cell_of(5, 1, 1, 101) for key in true}, true, 1) == 2
