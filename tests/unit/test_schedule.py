"""The order of tests in several processes: quiet ones alone, long ones first, short ones in the gaps."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support import schedule
from tests.support.schedule import Schedule, place, unit_of

CHAOS = "tests/integration/test_chaos.py::"
TESTS = [
    "tests/e2e/test_compose.py::a",
    "tests/e2e/test_compose.py::b",
    "tests/integration/test_archive.py::a",
    f"{CHAOS}ablation",
    f"{CHAOS}test_every_sample_is_exact",
    "tests/integration/test_replay.py::a",
    "tests/integration/test_replay.py::b",
    *(f"tests/unit/test_{name}.py::t{number}" for name in "wxyz" for number in range(3)),
]


class Node:
    """A process: runs a test when it knows the next one, as xdist's do."""

    def __init__(self) -> None:
        self.gateway = SimpleNamespace(id="gw")
        self.queue: list[int] = []
        self.shutting_down = False

    def send_runtest_some(self, numbers: Sequence[int]) -> None:
        self.queue += numbers

    def shutdown(self) -> None:
        self.shutting_down = True

    def ready(self) -> bool:
        return len(self.queue) > (0 if self.shutting_down else 1)


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[Node]]:
    monkeypatch.setattr("xdist.scheduler.loadscope.parse_tx_spec_config", lambda _: [0, 1, 2])
    made: Any = Schedule(SimpleNamespace())  # type: ignore[arg-type]
    nodes = [Node() for _ in range(3)]
    for node in nodes:
        made.add_node(node)
        made.add_node_collection(node, TESTS)
    made.schedule()
    return made, nodes


def run(made: Any, nodes: list[Node], seconds: dict[str, int]) -> list[tuple[int, int, str]]:
    """Process, beginning and name of each test; how long one takes is given, 1 otherwise."""
    ends: dict[int, int] = {}
    found = []
    for now in range(1000):
        for number, node in enumerate(nodes):
            if ends.get(number) == now:
                del ends[number]
                made.mark_test_complete(node, node.queue.pop(0))
        for number, node in enumerate(nodes):
            if number not in ends and node.ready():
                name = TESTS[node.queue[0]]
                found.append((number, now, name))
                ends[number] = now + seconds.get(name, 1)
        if not ends:
            break
    return found


def test_each_test_runs_once_and_a_quiet_one_beside_one_process_without_long_ones(
    nodes: tuple[Any, list[Node]],
) -> None:
    quiet = f"{CHAOS}test_every_sample_is_exact"
    ran = run(*nodes, {quiet: 6})
    assert sorted(name for *_, name in ran) == sorted(TESTS)
    (began,) = [at for _, at, name in ran if name == quiet]
    beside = {(number, name) for number, at, name in ran if at < began + 6 and name != quiet}
    assert not any(name.startswith((*schedule.LONG, *schedule.QUIET)) for _, name in beside)
    assert len({number for number, _ in beside}) == 1


def test_no_process_waits_while_a_long_test_stands_behind_another(nodes: tuple[Any, list[Node]]) -> None:
    long = {name: 20 for name in TESTS if name.startswith(("tests/e2e", "tests/integration"))}
    ran = run(*nodes, long)
    ends = [max(at + long.get(name, 1) for number, at, name in ran if number == each) for each in range(3)]
    assert max(ends) - min(ends) <= 20 + 3


def test_units() -> None:
    assert unit_of("tests/e2e/test_compose.py::a") == "tests/e2e/test_compose.py"
    assert unit_of("tests/integration/test_race.py::a[x::y]") == "tests/integration/test_race.py::a[x::y]"
    order = ["tests/integration/test_chaos.py::test_every_sample", schedule.LONG[0], schedule.LONG[1]]
    order += ["tests/integration/test_chaos.py::test_without[x]", "tests/unit/core/test_cells.py"]
    assert sorted(set(order), key=place) == order
