"""The day profile: the course's figures, counted on the stream itself."""

from __future__ import annotations

from collections import Counter

import pytest

from core.errors import ConfigurationError
from core.verdict import Rejected
from producers.profile import DAY, DayStream
from producers.record import Record
from tests.support.shop import KERNEL, Claim, decode
from tests.support.shop_events import TOPICS

NOW_MS = 1_769_900_000_000
VALIDATE = {topic: KERNEL[topic].decide.one for topic in TOPICS}


def claim_of(record: Record) -> Claim:
    claim = decode(record.truth)
    assert claim is not None
    return claim


def test_figures_are_those_of_the_course() -> None:
    assert len(DAY) == 24
    for i, hour in enumerate(DAY):
        n = 10000 + 500 * i + (i % 8) * 2000
        # all n are multiples of 500, where the course's floats are not in doubt
        assert hour == (n, int(0.95 * n), int(0.90 * n))
    assert [sum(column) for column in zip(*DAY, strict=True)] == [546_000, 518_700, 491_400]


def test_totals_of_the_stream() -> None:
    stream = DayStream(1, "day", seconds=60)
    counts: Counter[tuple[int, str]] = Counter()
    numbers: dict[str, set[int]] = {"accepted": set(), "duplicate": set(), "rejected": set()}
    position = 0
    last_seen: dict[int, int] = {}
    farthest = 0
    while records := stream.take(1_000, NOW_MS):
        for record in records:
            claim = claim_of(record)
            counts[claim.hour, claim.verdict] += 1
            if claim.verdict == "duplicate":
                farthest = max(farthest, position - last_seen[claim.number])
            elif claim.verdict == "accepted":
                last_seen[claim.number] = position
            numbers[claim.verdict].add(claim.number)
            position += 1
    for index, hour in enumerate(DAY):
        assert counts[index, "accepted"] == hour.unique
        assert counts[index, "duplicate"] == hour.valid - hour.unique
        assert counts[index, "rejected"] == hour.records - hour.valid
    assert position == 546_000
    assert len(numbers["accepted"]) == 491_400
    assert len(numbers["rejected"]) == 546_000 - 518_700
    assert numbers["duplicate"] <= numbers["accepted"]
    assert not numbers["rejected"] & numbers["accepted"]
    assert farthest < 100


def test_claims_agree_with_the_contract() -> None:
    stream = DayStream(2, "day", seconds=0)
    for record in (record for _ in range(10) for record in stream.take(2_000, NOW_MS)):
        claim = claim_of(record)
        assert claim.reason == reason_to_reject(record)
        assert (claim.verdict == "rejected") == bool(claim.reason)


def reason_to_reject(record: Record) -> str:
    try:
        VALIDATE[record.topic](record.value, NOW_MS)
    except Rejected as rejected:
        return rejected.reason
    return ""


def test_same_seed_same_bytes() -> None:
    one, two, other = (DayStream(seed, "day", 60).take(5_000, NOW_MS) for seed in (1, 1, 2))
    assert one == two != other


def test_the_rate_fits_the_length() -> None:
    stream = DayStream(1, "day", seconds=48)
    for hour in DAY[:3]:
        records = stream.take(1_000_000, NOW_MS)
        assert len(records) / stream.rate() == pytest.approx(2)
        assert len(records) == hour.records


def test_a_batch_does_not_cross_the_hour() -> None:
    stream = DayStream(1, "day", seconds=0)
    assert stream.rate() == 0
    assert len(stream.take(9_999, NOW_MS)) == 9_999
    assert [claim_of(r).hour for r in stream.take(50, NOW_MS)] == [0]
    assert {claim_of(r).hour for r in stream.take(50, NOW_MS)} == {1}


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_refuses_a_length_that_is_none(seconds: float) -> None:
    with pytest.raises(ConfigurationError, match="day"):
        DayStream(1, "day", seconds)
