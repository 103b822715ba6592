from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from bench.history import History, dealt, minutes_of, times_in

PLAN = History(products=40, start=1_000, epoch_ms=30_000, partitions=4, seed=7)


@pytest.mark.parametrize(("cells", "minutes"), [(0, 0), (1, 1), (40, 1), (41, 2), (400, 10)])
def test_as_many_minutes_as_the_cells_need(cells: int, minutes: int):
    assert minutes_of(cells, 40) == minutes


def test_epochs_follow_each_other_in_order():
    epochs = [epoch for minute in range(3) for epoch, _ in PLAN.minute(minute)]
    assert epochs == list(range(2_000, 2_006))


def test_every_product_is_clicked_in_every_minute():
    for minute in range(5):
        clicks = Counter(n for _, shares in PLAN.minute(minute) for share in shares for n in share.clicks)
        assert clicks.keys() == set(range(40))
        assert clicks.total() == 64


def test_one_event_in_about_eleven_minutes_clicks_is_a_sale():
    sales = [n for _, shares in PLAN.minute(0) for share in shares for n in share.sales]
    assert len(sales) == 3
    assert set(sales) <= set(range(40))


def test_events_are_shared_out_evenly_among_epochs_and_partitions():
    sizes = [len(share.clicks) for _, shares in PLAN.minute(2) for share in shares]
    assert sizes == [8] * 8


def test_a_product_does_not_always_come_by_the_same_partition():
    where = {
        number
        for minute in range(10)
        for _, shares in PLAN.minute(minute)
        for number, share in enumerate(shares)
        if 5 in share.clicks
    }
    assert where == {0, 1, 2, 3}


def test_the_same_seed_gives_the_same_minute():
    assert list(PLAN.minute(3)) == list(replace(PLAN).minute(3))
    assert list(PLAN.minute(3)) != list(replace(PLAN, seed=8).minute(3))


def test_dealt_as_cards():
    assert dealt([1, 2, 3, 4, 5], 2) == [[1, 3, 5], [2, 4]]


def test_event_times_are_in_their_epoch_and_in_order():
    times = times_in(20, 30_000, 7)
    assert times == sorted(times)
    assert {time_ms // 30_000 for time_ms in times} == {20}
    assert len(set(times)) == 7
