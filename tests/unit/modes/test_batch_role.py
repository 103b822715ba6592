"""The batch role: a cycle that hangs is seen, one that is slow is not taken for it."""

from __future__ import annotations

import pytest

from adapters.vitals import HUNG_S, Vitals
from core.errors import FourfoldError
from modes.roles.batch import LOOK_EVERY_S, CycleSigns


class World:
    """A batch process that is looked at twice a second, and how busy it is."""

    def __init__(self) -> None:
        self.now = self.cpu_s = 0.0
        self.signs = CycleSigns(lambda: self.cpu_s, lambda: self.now)
        self.vitals = Vitals(clock=lambda: self.now)
        self.vitals.watch("batch cycle", beats=lambda: self.signs.beats)

    def pass_(self, seconds: float, *, busy: float = 0.02, moves: bool = False) -> str:
        """`busy`: CPU seconds a second; what libraries take that only wait is the usual one."""
        for _ in range(int(seconds * 2)):
            self.now += 0.5
            self.cpu_s += busy / 2
            if moves:
                self.signs.moved()
            self.vitals.look()
        return self.vitals.trouble


@pytest.fixture
def world() -> World:
    return World()


def test_a_cycle_that_does_nothing_hangs(world: World) -> None:
    with world.signs.at_work():
        assert world.pass_(HUNG_S - LOOK_EVERY_S) == ""
        assert "batch cycle: has not moved for 90 s" in world.pass_(HUNG_S)


@pytest.mark.parametrize(("busy", "moves"), [(0.1, False), (2.0, False), (0.0, True)])
def test_a_cycle_that_computes_or_reads_does_not_hang_however_long_it_takes(
    world: World, busy: float, moves: bool
) -> None:
    with world.signs.at_work():
        assert world.pass_(20 * HUNG_S, busy=busy, moves=moves) == ""


def test_between_cycles_nothing_hangs(world: World) -> None:
    with world.signs.at_work():
        world.pass_(10)
    assert world.pass_(20 * HUNG_S) == ""
    with world.signs.at_work():
        assert world.pass_(10) == ""


def test_what_hangs_ends_the_role(world: World) -> None:
    with world.signs.at_work():
        world.pass_(3 * HUNG_S)
    with pytest.raises(Exception, match="batch cycle ended") as ended:
        world.vitals.check()
    assert not isinstance(ended.value, FourfoldError)
