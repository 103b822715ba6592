from __future__ import annotations

import pytest

from bench.sampler import Enough
from bench.samples import Sample, speed
from core.errors import FourfoldError
from core.position import PartitionKey

A, B = PartitionKey("clicks", 0), PartitionKey("sales", 0)


def sample(at_s: float, a: int, b: int, cpu_s: float = 0.0, resident: int = 0) -> Sample:
    return Sample(at_s, {A: a, B: b}, cpu_s, resident)


def test_speed_leaves_out_starting_and_the_wait_after_the_end():
    samples = [
        sample(0, 0, 0, cpu_s=1),
        sample(5, 100, 0, cpu_s=2, resident=5_000_000),
        sample(6, 600, 100, cpu_s=2.5, resident=7_000_000),
        sample(7, 1000, 100, cpu_s=3, resident=6_000_000),
        sample(9, 1000, 100, cpu_s=3.5),
    ]
    found = speed(samples)
    assert found.events == 1000
    assert found.seconds == 2
    assert found.events_per_s == 500
    assert found.cpu_s_per_million == pytest.approx(1 / 1000 * 1e6)
    assert found.peak_mb == 7


def test_speed_of_two_workers_begins_when_both_have_counted():
    samples = [sample(0, 0, 0), sample(1, 100, 0), sample(2, 200, 50), sample(3, 400, 100)]
    assert speed(samples, [frozenset([A]), frozenset([B])]).seconds == 1


@pytest.mark.parametrize("samples", [[sample(0, 0, 0)], [sample(0, 0, 0), sample(1, 5, 5)]])
def test_speed_refuses_what_did_not_move_long_enough(samples: list[Sample]):
    with pytest.raises(FourfoldError, match="--events"):
        speed(samples)


def test_enough_by_records_or_by_time_since_the_first_one():
    by_records = Enough(100)
    assert [by_records(sample(t, n, 0)) for t, n in ((0, 0), (900, 99), (901, 100))] == [False, False, True]
    by_time = Enough(100, 10)
    assert [by_time(sample(t, n, 0)) for t, n in ((0, 0), (50, 0), (60, 1), (69, 2), (70, 3))] == [False] * 4 + [True]
