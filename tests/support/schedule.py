"""Which test runs when, where several processes run them at once (`pytest -n 3`).

A unit is a file of tests, or one test where each has servers of its own. Long units come first,
short ones fill the gaps, and while a test bounds how long something may stand still, only one
process has work beside it: what needs no server first.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

#: They bound how long something may stand still.
QUIET: Final = ("tests/integration/test_chaos.py::test_every_sample", "tests/integration/test_chaos_brokers.py")
#: Each test has servers of its own, and no fixture is shared.
APART: Final = (
    "tests/e2e/test_up.py",
    "tests/integration/test_chaos.py",
    "tests/integration/test_drill.py",
    "tests/integration/test_embedded.py",
    "tests/integration/test_four_modes.py",
    "tests/integration/test_race.py",
)
#: The longest first; what is not named comes after them.
LONG: Final = (
    "tests/e2e/test_compose.py",
    "tests/e2e/test_mode_switches.py",
    "tests/integration/test_replay.py",
    "tests/integration/test_boundary.py",
)
#: No servers, and seconds at most: they fill the gaps.
LIGHT: Final = ("tests/unit/",)

Unit = dict[str, bool]


def unit_of(nodeid: str) -> str:
    """The unit that a test belongs to."""
    return nodeid if nodeid.startswith(APART) else nodeid.split("::", 1)[0]


def place(unit: str) -> tuple[int, int]:
    """Where a unit stands in the order: what must be quiet, the long ones, the others, the light ones."""
    if unit.startswith(QUIET):
        return 0, 0
    if unit.startswith(LIGHT):
        return 3, 0
    longest = next((number for number, name in enumerate(LONG) if unit.startswith(name)), None)
    return (2, 0) if longest is None else (1, longest)


class Schedule(LoadScopeScheduling):
    """Hands out units.

    A process begins a test only when it knows the next one, which nobody can take from it any
    more. So a heavy unit is handed out together with a light one, and the next only when that one
    is at its last test: no long test ever waits behind another one while a process has nothing to do.
    """

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)

    def schedule(self) -> None:
        """Hands out the first units, once all processes have collected the same tests."""
        if self.collection is None:
            if not self._check_nodes_have_same_collection():
                return
            self.collection = list(next(iter(self.registered_collections.values())))
            units: dict[str, Unit] = {}
            for nodeid in self.collection:
                units.setdefault(unit_of(nodeid), {})[nodeid] = False
            # a light unit with many tests takes longer
            order = sorted(units, key=lambda unit: (place(unit), -len(units[unit])))
            self.workqueue = OrderedDict((unit, units[unit]) for unit in order)
        for node in self.nodes:
            self._reschedule(node)

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        """Notes that a test has ended, and gives its process more to do."""
        was_quiet = self._quiet
        super().mark_test_complete(node, item_index, duration)
        if was_quiet and not self._quiet:
            for each in self.nodes:
                self._reschedule(each)

    @property
    def _quiet(self) -> bool:
        """Whether there are still tests that need the machine for themselves."""
        waiting = any(unit.startswith(QUIET) for unit in self.workqueue)
        return waiting or any(self._runs_quiet(node) for node in self.nodes)

    def _runs_quiet(self, node: WorkerController) -> bool:
        return any(
            unit.startswith(QUIET) and not all(tests.values()) for unit, tests in self.assigned_work[node].items()
        )

    def _reschedule(self, node: WorkerController) -> None:
        while not node.shutting_down and self._pending_of(self.assigned_work[node]) < 2:
            if not self.workqueue:
                # it may run its last test without knowing the next
                node.shutdown()
                return
            units = self._next_units(node)
            for unit in units:
                self._assign(node, unit)
            if not self.workqueue:
                for each in self.nodes:
                    self._reschedule(each)
            if not units:
                return

    def _next_units(self, node: WorkerController) -> list[str]:
        """What a process does next: nothing where a quiet test runs and another process is beside it already."""
        light = [unit for unit in self.workqueue if unit.startswith(LIGHT)]
        heavy = [unit for unit in self.workqueue if not unit.startswith(LIGHT)]
        if self._quiet and node is not self.nodes[0]:
            if node is not self.nodes[1]:
                return []
            if len(light) > len(heavy):
                return light[:1]
            # the last ones: neither quiet nor long
            heavy = [unit for unit in heavy if place(unit)[0] > 1][::-1]
        # the last light unit is the shortest
        return [*heavy[:1], *light[-1:]] if heavy else light[:1]

    def _assign(self, node: WorkerController, unit: str) -> None:
        tests = self.assigned_work[node][unit] = self.workqueue.pop(unit)
        mine = self.registered_collections[node]
        node.send_runtest_some([mine.index(nodeid) for nodeid, done in tests.items() if not done])
