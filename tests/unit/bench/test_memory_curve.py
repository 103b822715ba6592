from __future__ import annotations

import pytest

from bench.memory_curve import MemoryCurve
from core.errors import FourfoldError


def curve(*megabytes: float) -> MemoryCurve:
    found = MemoryCurve()
    for number, each in enumerate(megabytes, 1):
        found.add(number * 1_000_000, int(each * 1e6))
    return found


def test_growth_compares_the_last_third_with_the_second():
    assert curve(10, 50, 90, 100, 100, 100, 104, 106, 105).growth_percent == pytest.approx(5, abs=1.5)
    assert curve(10, 50, 90, 100, 100, 100, 100, 100, 100).growth_percent == pytest.approx(0, abs=2.6)


def test_slope_is_that_of_the_last_two_thirds():
    assert curve(1, 1, 10, 12, 14, 16, 18, 20, 22).slope_mb_per_million == pytest.approx(2)


def test_points_are_the_first_after_every_step():
    found = MemoryCurve()
    for counted in (400, 900, 1100, 1500, 3200, 3300):
        found.add(counted, 1_000_000)
    assert [counted for counted, _ in found.points(1000)] == [1100, 3200]


def test_too_few_points_are_no_result():
    with pytest.raises(FourfoldError, match="--memory-events"):
        _ = curve(1).growth_percent
