"""The pacer under a clock of its own."""

from __future__ import annotations

from itertools import pairwise

import pytest

from core.errors import ConfigurationError
from producers.pacer import Pacer


class Clock:
    """Time passes in `sleep`, and by `work_s` between two readings."""

    def __init__(self, work_s: float = 0.0, oversleep_s: float = 0.0) -> None:
        self.now = 1_000.0
        self.work_s = work_s
        self.oversleep_s = oversleep_s
        self.slept: list[float] = []

    def __call__(self) -> float:
        self.now += self.work_s
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds + self.oversleep_s


def granted(pacer: Pacer, clock: Clock, seconds: float) -> list[int]:
    end = clock.now + seconds
    out = []
    while clock.now < end:
        out.append(pacer.due())
    return out


@pytest.mark.parametrize("rate", [0.5, 1, 7, 99.9, 1_000, 12_345, 100_000])
@pytest.mark.parametrize("oversleep_s", [0.0, 0.0007])
def test_long_run_rate(rate: float, oversleep_s: float) -> None:
    clock = Clock(oversleep_s=oversleep_s)
    seconds = max(20.0, 5_000 / rate)
    events = sum(granted(Pacer(rate, clock, clock.sleep), clock, seconds))
    # a thousandth, and what is gathered at the end
    assert events == pytest.approx(seconds * rate, rel=0.001, abs=max(1, rate * 0.01))


@pytest.mark.parametrize("rate", [1, 100, 1_000, 100_000])
def test_bursts_are_small(rate: float) -> None:
    clock = Clock(oversleep_s=0.003)
    assert max(granted(Pacer(rate, clock, clock.sleep), clock, 30)) <= max(1, rate * 0.01)


def test_slow_rates_are_even() -> None:
    clock = Clock()
    pacer = Pacer(1, clock, clock.sleep)
    moments: list[float] = []
    while len(moments) < 10:
        if pacer.due():
            moments.append(clock.now)
    gaps = [b - a for a, b in pairwise(moments)]
    assert gaps == pytest.approx([1.0] * 9, abs=0.001)


def test_waits_a_tenth_of_a_second_at_most() -> None:
    clock = Clock()
    pacer = Pacer(0.01, clock, clock.sleep)
    assert pacer.due() == 0
    assert max(clock.slept) <= 0.1


def test_a_stall_is_made_up_for_by_a_second_at_most() -> None:
    clock = Clock()
    pacer = Pacer(1_000, clock, clock.sleep)
    granted(pacer, clock, 5)
    clock.now += 60
    clock.slept.clear()
    made_up = 0
    while not clock.slept:
        made_up += pacer.due()
    assert made_up == pytest.approx(1_000, abs=20)


def test_no_limit_does_not_wait() -> None:
    clock = Clock()
    assert Pacer(0, clock, clock.sleep).due() > 100
    assert not clock.slept


def test_a_rate_that_changes() -> None:
    clock = Clock()
    rates = {"now": 100.0}
    pacer = Pacer(lambda: rates["now"], clock, clock.sleep)
    slow = sum(granted(pacer, clock, 10))
    rates["now"] = 10_000.0
    fast = sum(granted(pacer, clock, 10))
    assert slow == pytest.approx(1_000, abs=2)
    assert fast == pytest.approx(100_000, rel=0.002)


@pytest.mark.parametrize("rate", [-1, float("nan"), float("inf")])
def test_refuses_a_rate_that_cannot_be(rate: float) -> None:
    with pytest.raises(ConfigurationError, match="rate"):
        Pacer(rate)
