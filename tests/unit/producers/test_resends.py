"""The buffer of re-sends: bounded, and in the order in which they are due."""

from __future__ import annotations

from random import Random

from producers.dirt import DirtShares
from producers.record import Record
from producers.resends import Resends
from producers.shop import Shop
from producers.stream import ShopStream
from tests.support.shop import decode

NOW_MS = 1_769_900_000_000


def records(count: int) -> list[Record]:
    return Shop(Random(1), "test").events(count, NOW_MS)


def test_full_takes_nothing_more() -> None:
    resends = Resends(Random(1), capacity=10)
    assert [resends.add(record, NOW_MS) for record in records(12)] == [True] * 10 + [False] * 2
    assert len(resends) == 10


def test_nothing_is_due_at_once_and_all_within_50_seconds() -> None:
    resends = Resends(Random(1))
    for record in records(500):
        resends.add(record, NOW_MS)
    assert resends.due(NOW_MS, 500) == []
    soon = len(resends.due(NOW_MS + 5_000, 500))
    assert 350 < soon < 500
    assert len(resends.due(NOW_MS + 50_000, 500)) == 500 - soon
    assert len(resends) == 0


def test_no_more_than_asked_for() -> None:
    resends = Resends(Random(1))
    for record in records(9):
        resends.add(record, NOW_MS)
    assert len(resends.due(NOW_MS + 50_000, 4)) == 4
    assert len(resends) == 5


def test_again_is_the_same_event_with_another_verdict() -> None:
    (record,) = records(1)
    again = record.again()
    assert again[:3] == record[:3]
    first, second = decode(record.truth), decode(again.truth)
    assert first is not None
    assert second is not None
    assert (first.number, first.verdict) == (second.number, "accepted")
    assert second.verdict == "duplicate"


def test_a_stream_stays_within_its_capacity() -> None:
    stream = ShopStream(1, "r", DirtShares(duplicates=0.4), resend_capacity=50)
    kinds = [record.kind for second in range(60) for record in stream.take(500, second * 1_000)]
    # every place is used again after 50 s at most; without a bound there were 10,000
    assert 50 < kinds.count("duplicate") < 3_000
