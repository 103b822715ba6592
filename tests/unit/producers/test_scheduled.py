"""Records on a schedule: the same whatever the machine does, and exactly as many as asked for."""

from __future__ import annotations

import re

import pytest

from producers.dirt import DirtShares
from producers.record import Record
from producers.scheduled import ScheduledStream
from producers.stream import ShopStream
from tests.support.shop import CLAIMS

NOW_MS = 1_767_225_600_000
TIME = re.compile(rb"\d{4}-\d\d-\d\dT[^\"]*|\b1\d{12}\b")


def stream(events: int = 3_000, seed: int = 7, rate: float = 1_000) -> ScheduledStream:
    shop = ShopStream(seed, "race", DirtShares(duplicates=0.05, late=0.05), resend_tail_ms=(1_500, 2_000))
    return ScheduledStream(shop, rate, events)


def all_of(stream: ScheduledStream, at_once: int, now_ms: int = NOW_MS) -> list[Record]:
    out: list[Record] = []
    while records := stream.take(at_once, now_ms + len(out)):
        out += records
    return out


def test_as_many_as_asked_for_and_then_none() -> None:
    made = stream(2_999)
    assert len(all_of(made, 7)) == 2_999
    assert made.take(10, NOW_MS) == []


@pytest.mark.parametrize("at_once", [1, 13, 500])
def test_how_many_are_taken_at_once_makes_no_difference(at_once: int) -> None:
    assert all_of(stream(), at_once) == all_of(stream(), 100)


def test_at_another_time_all_but_the_times_is_the_same() -> None:
    def timeless(records: list[Record]) -> list[tuple[object, ...]]:
        return [(r.topic, r.key, r.kind, len(r.value or b""), TIME.sub(b"", r.value or b"")) for r in records]

    one, other = all_of(stream(), 50), all_of(stream(), 50, NOW_MS + 12_345_678)
    assert timeless(one) == timeless(other)
    assert [r.value for r in one] != [r.value for r in other]


def test_another_seed_is_another_shop() -> None:
    assert all_of(stream(seed=1), 50) != all_of(stream(seed=2), 50)


def test_events_follow_the_schedule_from_the_minute_on() -> None:
    records = all_of(stream(), 50, NOW_MS + 59_999)
    claims = [CLAIMS.decode(record.truth) for record in records]
    times = [claim.time_ms for claim, record in zip(claims, records, strict=True) if claim and record.kind == "click"]
    # the natural delay aside
    assert min(times) > NOW_MS - 2_000
    assert NOW_MS + 2_000 < max(times) <= NOW_MS + 3_000


def test_some_duplicates_come_after_the_span() -> None:
    records = all_of(stream(), 50)
    first: dict[bytes, int] = {}
    distances = []
    for place, record in enumerate(records):
        if record.value in first:
            distances.append(place - first[record.value])
        first.setdefault(record.value, place)
    assert any(1_400 < distance < 2_200 for distance in distances)
