"""The watchdog: a worker that stands still while there is something to count is ended."""

from __future__ import annotations

import pytest

from core.position import PartitionKey
from processors.watchdog import FIRST_LIMIT_S, LIMIT_S, LONGEST_LOOK_S, Watchdog
from tests.support.events import CLICKS_0, CLICKS_1

BOTH = [CLICKS_0, CLICKS_1]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watchdog(clock: Clock) -> Watchdog:
    return Watchdog(clock)


def look(
    watchdog: Watchdog, clock: Clock, positions: dict[PartitionKey, int], mine: list[PartitionKey], after_s: float = 2
) -> list[PartitionKey]:
    """A look after so long, and others before it as often as a worker looks."""
    ends = {CLICKS_0: 100, CLICKS_1: 100}
    while after_s > LONGEST_LOOK_S:
        after_s -= LONGEST_LOOK_S
        clock.now += LONGEST_LOOK_S
        watchdog.stalled(ends, positions, mine)
    clock.now += after_s
    return watchdog.stalled(ends, positions, mine)


def test_a_partition_that_lags_and_does_not_move_is_stalled_after_the_limit(watchdog: Watchdog, clock: Clock) -> None:
    positions = {CLICKS_0: 50, CLICKS_1: 100}
    for _ in range(11):
        assert look(watchdog, clock, positions, BOTH) == []
    assert clock.now >= LIMIT_S
    assert look(watchdog, clock, positions, BOTH, after_s=3) == [CLICKS_0]


def test_a_partition_that_moves_however_little_is_not_stalled(watchdog: Watchdog, clock: Clock) -> None:
    for at in range(30):
        assert look(watchdog, clock, {CLICKS_0: 50 + at, CLICKS_1: 100}, BOTH, after_s=LIMIT_S) == []


def test_a_partition_that_is_counted_to_the_end_is_not_stalled(watchdog: Watchdog, clock: Clock) -> None:
    for _ in range(30):
        assert look(watchdog, clock, {CLICKS_0: 100, CLICKS_1: 120}, BOTH, after_s=LIMIT_S) == []


def test_the_partition_of_another_worker_is_not_this_workers_business(watchdog: Watchdog, clock: Clock) -> None:
    for at in range(30):
        assert look(watchdog, clock, {CLICKS_0: 50, CLICKS_1: at}, [CLICKS_1], after_s=LIMIT_S) == []


def test_if_all_partitions_stand_still_every_worker_ends(watchdog: Watchdog, clock: Clock) -> None:
    positions = {CLICKS_0: 50, CLICKS_1: 60}
    look(watchdog, clock, positions, [])
    look(watchdog, clock, positions, [])
    assert sorted(look(watchdog, clock, positions, [], after_s=LIMIT_S + 1)) == BOTH


def test_a_partition_without_a_position_lags_too_after_the_time_that_a_beginning_takes(
    watchdog: Watchdog, clock: Clock
) -> None:
    for _ in range(2):
        look(watchdog, clock, {CLICKS_1: 100}, [CLICKS_0])
    assert look(watchdog, clock, {CLICKS_1: 100}, [CLICKS_0], after_s=LIMIT_S + 1) == []
    assert look(watchdog, clock, {CLICKS_1: 100}, [CLICKS_0], after_s=FIRST_LIMIT_S) == [CLICKS_0]


def test_an_empty_partition_without_a_position_does_not_lag(watchdog: Watchdog, clock: Clock) -> None:
    for _ in range(5):
        clock.now += FIRST_LIMIT_S
        assert watchdog.stalled({CLICKS_0: 0, CLICKS_1: 0}, {}, BOTH) == watchdog.late == []


def test_what_is_late_at_another_worker_is_known(watchdog: Watchdog, clock: Clock) -> None:
    for at in range(4):
        look(watchdog, clock, {CLICKS_0: 50, CLICKS_1: at}, [CLICKS_1], after_s=LIMIT_S)
    assert watchdog.late == [CLICKS_0]


def test_while_a_server_is_away_no_time_counts(watchdog: Watchdog, clock: Clock) -> None:
    positions = {CLICKS_0: 50, CLICKS_1: 60}
    for _ in range(3):
        look(watchdog, clock, positions, BOTH)
    watchdog.reset()
    clock.now += LIMIT_S * 2
    assert look(watchdog, clock, positions, BOTH) == []
    assert sorted(look(watchdog, clock, positions, BOTH, after_s=LIMIT_S + 1)) == BOTH


def test_a_view_without_partitions_is_not_stalled(watchdog: Watchdog, clock: Clock) -> None:
    assert watchdog.stalled({}, {}, []) == []


def test_a_machine_that_slept_has_nobody_who_stood_still(watchdog: Watchdog, clock: Clock) -> None:
    positions = {CLICKS_0: 50, CLICKS_1: 100}
    look(watchdog, clock, positions, BOTH)
    look(watchdog, clock, positions, BOTH)
    clock.now += 600
    assert look(watchdog, clock, positions, BOTH) == []
    for _ in range(10):
        assert look(watchdog, clock, positions, BOTH) == []
    assert look(watchdog, clock, positions, BOTH, after_s=3) == [CLICKS_0]


def test_a_worker_that_counts_is_not_deaf_however_slowly_its_client_answers(watchdog: Watchdog, clock: Clock) -> None:
    for at in range(100):
        clock.now += 2
        assert not watchdog.deaf({CLICKS_0: at}, others_hear=True)
    for _ in range(int(LIMIT_S / 2)):
        clock.now += 2
        assert not watchdog.deaf({CLICKS_0: 99}, others_hear=True)
    clock.now += 3
    assert watchdog.deaf({CLICKS_0: 99}, others_hear=True)
    assert not watchdog.deaf({CLICKS_0: 99}, others_hear=False)
