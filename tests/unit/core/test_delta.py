"""A delta: what batches of any number of partitions add, epoch by epoch."""

from __future__ import annotations

from core.cells import CellKey
from core.delta import ACCEPTED, DUPLICATES, Delta
from core.position import Position
from core.rules import Rules
from core.verdict import Reason
from tests.support.events import CLICKS_0, NOW_MINUTE, NOW_MS, SALES_0, click, records, sale
from tests.support.shop import cell_of, fold_of

EPOCH = NOW_MS // 30_000


def test_it_is_empty_at_first() -> None:
    delta = Delta()
    assert (delta.cells(), delta.quality, delta.dead_letters) == ({}, {}, [])


def test_partitions_of_both_topics_add_to_the_same_cells() -> None:
    delta = Delta()
    clicks = records([click(id="1"), click(id="2", user_id="user-2")])
    fold_of(CLICKS_0, Position(), Rules()).fold(clicks, 2, delta)
    fold_of(SALES_0, Position(), Rules()).fold(records([sale(user_id="user-3")]), 1, delta)
    cells = delta.cells()[EPOCH]
    assert cells[CellKey(NOW_MINUTE, "all", "")] == cell_of(2, 1, 2, 2500)
    assert cells[CellKey(NOW_MINUTE, "country", "DE")] == cell_of(2, 1, 2, 2500)
    (users,) = delta.users()
    assert (users[:2], set(users[2])) == ((EPOCH, NOW_MINUTE), {"user-1", "user-2", "user-3"})


def test_counting_nothing_makes_no_counter() -> None:
    delta = Delta()
    delta.count(1, ACCEPTED, 0)
    assert delta.quality == {}
    delta.count(1, DUPLICATES)
    delta.count(1, DUPLICATES, 2)
    assert delta.quality == {1: {DUPLICATES: 3}}


def test_a_rejected_record_is_kept_as_it_was() -> None:
    delta = Delta()
    fold_of(CLICKS_0, Position(next=7, first=7), Rules()).fold(records([b"\xff"], start=7), 8, delta)
    (letter,) = delta.dead_letters
    assert (letter.source, letter.offset, letter.append_ms) == (CLICKS_0, 7, NOW_MS)
    assert (letter.key, letter.value, letter.reason) == (b"u", b"\xff", Reason.NOT_JSON)
    assert letter.detail
    assert delta.quality == {EPOCH: {"rejected:not_json": 1}}
    assert delta.cells() == {}


def test_events_of_many_minutes_add_what_they_add_one_by_one() -> None:
    times = [NOW_MS - number * 61_000 % 3_600_000 for number in range(200)]
    for source, make in ((CLICKS_0, click), (SALES_0, sale)):
        found = records(
            [
                make(time_ms, id=f"e{n}", user_id=f"u{n % 7}", country="DE" if n % 3 else "AT")
                for n, time_ms in enumerate(times)
            ]
        )
        together, apart = Delta(), Delta()
        fold_of(source, Position(), Rules()).fold(found, len(found), together)
        one_by_one = fold_of(source, Position(), Rules())
        for record in found:
            one_by_one.fold([record], record.offset + 1, apart)
        assert together.minutes == {}
        assert len(apart.minutes) > 50
        assert together.cells() == apart.cells()
        assert together.quality == apart.quality
        users = [{(e, m): set(names) for e, m, names in delta.users()} for delta in (together, apart)]
        assert users[0] == users[1]
