"""Cells are a commutative monoid: nothing depends on the order or the grouping of merges."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.cells import CellKey, Cells, merge, totals
from tests.support.shop import DIMENSIONS, ZERO, cell_of

COUNTS = st.integers(0, 2**70)
CELLS = st.dictionaries(
    st.builds(CellKey, st.integers(0, 3), st.sampled_from(DIMENSIONS), st.sampled_from(["", "a", "b|c"])),
    st.builds(cell_of, COUNTS, COUNTS, COUNTS, COUNTS),
    max_size=6,
)


@given(CELLS, CELLS, CELLS)
def test_merging_is_associative(a: Cells, b: Cells, c: Cells) -> None:
    assert merge(merge(a, b), c) == merge(a, merge(b, c)) == merge(a, b, c)


@given(CELLS, CELLS)
def test_merging_is_commutative(a: Cells, b: Cells) -> None:
    assert merge(a, b) == merge(b, a)


@given(CELLS)
def test_the_empty_view_is_the_identity(a: Cells) -> None:
    assert merge(a, {}) == merge({}, a) == merge(a) == a
    assert merge() == {}


@given(CELLS, CELLS)
def test_merging_changes_none_of_its_parts(a: Cells, b: Cells) -> None:
    before = dict(a), dict(b)
    merged = merge(a, b)
    merged.clear()
    assert (a, b) == before


@given(CELLS, CELLS)
def test_every_measure_is_summed_on_its_own(a: Cells, b: Cells) -> None:
    for key, cell in merge(a, b).items():
        for at in range(4):
            assert cell[at] == a.get(key, ZERO)[at] + b.get(key, ZERO)[at]


@given(CELLS, CELLS)
def test_the_totals_of_a_merge_are_the_merged_totals(a: Cells, b: Cells) -> None:
    for dimension in DIMENSIONS:
        sums = totals(a, dimension)
        for value, cell in totals(b, dimension).items():
            sums[value] = sums.get(value, ZERO).plus(cell)
        assert totals(merge(a, b), dimension) == sums


def test_totals_are_sums_over_minutes_of_one_dimension() -> None:
    cells = {
        CellKey(1, "all", ""): cell_of(clicks=3),
        CellKey(1, "country", "DE"): cell_of(clicks=2),
        CellKey(2, "country", "DE"): cell_of(sales=1, units=4, revenue_cents=500),
        CellKey(2, "country", "FR"): cell_of(clicks=1),
    }
    assert totals(cells) == {"": cell_of(clicks=3)}
    assert totals(cells, "country") == {"DE": cell_of(2, 1, 4, 500), "FR": cell_of(clicks=1)}
