from __future__ import annotations

import pytest

from bench.slopes import slope, slope_text

SIZES = (100, 1_000, 50_000)


@pytest.mark.parametrize("power", [0, 0.5, 1, 2])
def test_the_slope_is_the_power(power: float):
    assert slope((x, 7 * x**power) for x in SIZES) == pytest.approx(power)


def test_all_sizes_count():
    # 1 and 2 from one size to the next
    assert slope([(1, 1), (10, 10), (100, 1_000)]) == pytest.approx(1.5)


def test_what_has_no_logarithm_is_left_out():
    assert slope([(0, 5), (10, -3), (10, 0), (100, 100), (1_000, 1_000)]) == pytest.approx(1)


@pytest.mark.parametrize("points", [[], [(10, 1)], [(10, 1), (10, 2)], [(10, 1), (100, 0)]])
def test_one_size_has_no_slope(points: list[tuple[float, float]]):
    assert slope(points) is None


def test_texts():
    assert slope_text(None) == "-"
    assert slope_text(0.987) == "0.99"
