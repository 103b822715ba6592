"""Totals that are summed, and ranked, when somebody asks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cells import Cell
from serving.totals import Ranked, SummedTotals

KEYS = st.tuples(st.sampled_from(["all", "product"]), st.sampled_from(["", "a", "b", "c"]))
TOTALS = st.dictionaries(KEYS, st.builds(lambda a, b: Cell((a, b)), st.integers(-2, 2), st.integers(-2, 2)))


@given(TOTALS, TOTALS)
def test_they_are_the_sum_of_both_without_what_is_nothing(
    one: dict[tuple[str, str], Cell], other: dict[tuple[str, str], Cell]
) -> None:
    zero = Cell((0, 0))
    wanted = {key: one.get(key, zero).plus(other.get(key, zero)) for key in one.keys() | other.keys()}
    wanted = {key: cell for key, cell in wanted.items() if any(cell)}
    found = SummedTotals(one, other)
    # asked for one by one before all are made, and after
    for _ in range(2):
        assert {key: found[key] for key in wanted} == wanted
        assert all(key in wanted for key in one if found.get(key) is not None)
        assert found == wanted
        assert len(found) == len(wanted)


def test_values_are_ranked_with_the_largest_first_and_equal_ones_by_name() -> None:
    totals = {("p", "b"): Cell((1,)), ("p", "a"): Cell((1,)), ("p", "c"): Cell((5,)), ("q", ""): Cell((2,))}
    ranked = Ranked(totals, lambda cell: cell[0])
    assert list(ranked["p"]) == ["c", "a", "b"]
    assert dict(ranked) == {"p": {"c": Cell((5,)), "a": Cell((1,)), "b": Cell((1,))}, "q": {"": Cell((2,))}}
    assert len(ranked) == 2
    with pytest.raises(KeyError):
        ranked["r"]
