"""aggregate: the cells of a minute, whatever the order and the batching of its events."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from core.cells import CellKey, Cells, merge
from core.delta import Delta, Minute
from tests.support.shop import KERNEL, cell_of
from tests.support.shop import cells_of_clicks as fold_clicks
from tests.support.shop import cells_of_sales as fold_sales
from tests.support.shop_events import ClickData, SaleData

MINUTE = 29_453_760
NAMES = st.sampled_from(["", "a", "b", "a|b", "c:d", "\x00", "ü"])
CLICKS = st.lists(st.builds(ClickData, NAMES, NAMES, NAMES, NAMES, NAMES, st.sampled_from(["DE", "FR"])), max_size=30)
SALES = st.lists(
    st.builds(
        SaleData,
        NAMES,
        NAMES,
        NAMES,
        NAMES,
        NAMES,
        st.sampled_from(["DE", "FR"]),
        st.integers(1, 10_000),
        st.integers(0, 100_000_000),
        st.just("EUR"),
    ),
    max_size=30,
)


def naive(events: Sequence[Any]) -> Cells:
    """The cells, counted one event and one dimension at a time."""
    sums: dict[tuple[int, str, str], list[int]] = {}
    for event in events:
        for dimension, value in [
            ("all", ""),
            ("campaign", event.campaign_id),
            ("product", event.product_id),
            ("country", event.country),
        ]:
            numbers = sums.setdefault((MINUTE, dimension, value), [0, 0, 0, 0])
            if isinstance(event, SaleData):
                numbers[1] += 1
                numbers[2] += event.quantity
                for _ in range(event.quantity % 1000):
                    numbers[3] += event.unit_price_cents
                numbers[3] += (event.quantity // 1000) * 1000 * event.unit_price_cents
            else:
                numbers[0] += 1
    return {CellKey(*key): cell_of(*numbers) for key, numbers in sums.items()}


@given(CLICKS)
def test_clicks_are_counted_in_each_dimension(clicks: list[ClickData]) -> None:
    assert fold_clicks(MINUTE, clicks) == naive(clicks)


@given(SALES)
def test_sales_units_and_cents_are_summed_in_each_dimension(sales: list[SaleData]) -> None:
    assert fold_sales(MINUTE, sales) == naive(sales)


@given(CLICKS, st.randoms())
def test_the_order_of_clicks_does_not_matter(clicks: list[ClickData], random: Any) -> None:
    shuffled = random.sample(clicks, len(clicks))
    assert fold_clicks(MINUTE, shuffled) == fold_clicks(MINUTE, clicks)


@given(SALES, st.randoms())
def test_the_order_of_sales_does_not_matter(sales: list[SaleData], random: Any) -> None:
    shuffled = random.sample(sales, len(sales))
    assert fold_sales(MINUTE, shuffled) == fold_sales(MINUTE, sales)


@given(CLICKS, SALES, st.lists(st.integers(0, 30), max_size=4))
def test_any_split_into_batches_gives_the_same_cells(
    clicks: list[ClickData], sales: list[SaleData], cuts: list[int]
) -> None:
    edges = [0, *sorted(cuts), 30]
    parts = [
        part
        for start, end in pairwise(edges)
        for part in (fold_clicks(MINUTE, clicks[start:end]), fold_sales(MINUTE, sales[start:end]))
    ]
    assert merge(*parts) == merge(fold_clicks(MINUTE, clicks), fold_sales(MINUTE, sales))


@given(CLICKS, SALES, st.lists(st.integers(0, 30), max_size=4))
def test_a_tally_filled_a_few_at_a_time_gives_the_cells_of_both(
    clicks: list[ClickData], sales: list[SaleData], cuts: list[int]
) -> None:
    delta = Delta()
    minute = delta.minutes[0, MINUTE] = Minute(MINUTE)
    for start, end in pairwise([0, *sorted(cuts), 30]):
        for stream, events in (("clicks", clicks), ("sales", sales)):
            aggregate = KERNEL[stream].aggregate
            minute.tally(aggregate).events.extend(events[start:end])
            aggregate.condense(minute.tally(aggregate))
    assert delta.cells().get(0, {}) == merge(naive(clicks), naive(sales))
    assert sorted(minute.users) == sorted(event.user_id for event in [*clicks, *sales])


def test_nothing_folds_to_no_cells() -> None:
    assert fold_clicks(MINUTE, []) == fold_sales(MINUTE, []) == {}


def test_revenue_beyond_the_exact_range_of_floats_is_exact() -> None:
    sale = SaleData("u", "s", "o", "p", "c", "DE", 9_999, 99_999_999, "EUR")
    cells = fold_sales(MINUTE, [sale] * 20_001)
    assert cells[CellKey(MINUTE, "all", "")][3] == 20_001 * 9_999 * 99_999_999
