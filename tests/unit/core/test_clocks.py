"""Clocks of producers: said where a large share of records points at one, and by how much."""

from __future__ import annotations

import pytest

from core.clocks import suspicion, typical_ahead_s
from core.verdict import Rejected
from tests.support.events import NOW_MS, as_bytes, click
from tests.support.shop import KERNEL


def test_a_clock_ahead_is_said_with_by_how_much() -> None:
    said = suspicion({"accepted": 13, "rejected:from_future": 987}, 601)
    assert said == (
        "987 of 1,000 records are from the future: a producer's clock is ahead by about 10 minutes; "
        "set the clock of whoever sends them right (NTP)"
    )


def test_a_clock_behind_is_said() -> None:
    assert "behind" in (suspicion({"accepted": 100, "late": 60}) or "")


@pytest.mark.parametrize(
    "counters",
    [
        {},
        {"accepted": 10, "rejected:from_future": 80},
        {"accepted": 1000, "rejected:from_future": 5, "late": 30, "rejected:not_json": 500},
        {"accepted": 500, "duplicates": 500, "late": 100, "rejected:from_future": 50},
    ],
)
def test_few_records_and_single_ones_say_nothing(counters: dict[str, int]) -> None:
    assert suspicion(counters) is None


def test_by_how_much_is_read_from_what_the_contract_says() -> None:
    details = []
    for minutes in (6, 10, 10, 700):
        with pytest.raises(Rejected) as caught:
            KERNEL["clicks"].decide.one(as_bytes(click()), NOW_MS - minutes * 60_000)
        details.append(caught.value.detail)
    assert typical_ahead_s([*details, "something else"]) == pytest.approx(600, abs=1)
    assert typical_ahead_s(["something else"]) is None


@pytest.mark.parametrize(
    ("seconds", "said"), [(61, "61 s"), (600, "10 minutes"), (9000, "2 hours"), (2**31, "24,855 days")]
)
def test_spans_are_said_in_a_unit_that_people_read(seconds: float, said: str) -> None:
    assert f"about {said};" in (suspicion({"rejected:from_future": 100}, seconds) or "")
