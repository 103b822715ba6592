"""The signs by which the stock agent writes dimensions and measures."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench.stock_fields import codes
from core.declaration.reader import MOST
from tests.support.shop import SHOP

NAMES = st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,39}", fullmatch=True), unique=True, max_size=MOST)


def test_views_of_the_shop_go_on() -> None:
    assert (codes(SHOP.dimension_names), codes(SHOP.measures)) == ("acpn", "csur")


def test_as_many_names_as_may_be_declared_have_one_each() -> None:
    names = ["all", *(f"a{number}" for number in range(MOST))]
    assert len(set(codes(names))) == len(names)


@given(NAMES)
def test_no_two_are_alike_and_more_names_change_none(names: list[str]) -> None:
    found = codes(names)
    assert len(set(found)) == len(found) == len(names)
    assert ":" not in found
    assert all(codes(names[:count]) == found[:count] for count in range(len(names)))
