"""Every mode after every other one, while traffic goes on: counts go on exact from all that the new mode can know."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest

from core.errors import UnavailableError
from core.position import Vector, covers
from modes.catalogue import MODES, Role
from modes.crew import Crew
from modes.settings import Settings
from modes.verdict import judge
from modes.wiring.answers import answer_of, auditor
from serving.answer import Answer
from tests.support.chaos import Stage
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.own_servers, pytest.mark.e2e]

SEED = int(os.environ.get("FOURFOLD_CHAOS_SEED", "7"))
RATE = 200
BOUND_S = 60.0
#: Twelve steps, each from one mode to another, no two the same.
ROUND = [
    "batch",
    "streaming",
    "batch",
    "lambda",
    "batch",
    "kappa",
    "streaming",
    "lambda",
    "streaming",
    "kappa",
    "lambda",
    "kappa",
    "batch",
]
#: Each mode comes after another one, and has one after it.
SHORT_ROUND = ["kappa", "lambda", "streaming", "batch"]


def test_the_round_has_each_switch_once() -> None:
    assert set(SHORT_ROUND) == set(MODES)
    wanted = {(one, two) for one in MODES for two in MODES if one != two}
    assert set(pairwise(ROUND)) == wanted
    assert len(ROUND) == len(wanted) + 1


def ends_of(settings: Settings) -> Vector:
    with auditor(settings) as witness:
        return witness.ends_now()


def covering(settings: Settings, ends: Vector) -> Answer | None:
    """The answer once it has all that was in the log at `ends`; None before."""
    try:
        answer = answer_of(settings)
    except UnavailableError:
        return None
    return answer if covers(answer.vector, ends) else None


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "modes", [pytest.param(SHORT_ROUND, id="each mode"), pytest.param(ROUND, id="each switch", marks=pytest.mark.soak)]
)
def test_switches_go_on_exact_while_traffic_runs(tmp_path: Path, modes: list[str]) -> None:
    counted = 0
    with Stage(tmp_path, SEED, RATE) as stage:
        before: Vector = {}
        first = stage.view("switched", mode=modes[0])
        until(lambda: sum(ends_of(first).values()) > RATE, within_s=BOUND_S, what="traffic")
        for mode in modes:
            settings = stage.view(
                "switched",
                mode=mode,
                epoch_seconds=1.0,
                horizon_epochs=-1,
                cut_margin_seconds=1.0,
                window_hours=6.0,
                batch_seconds=1.0,
            )
            with Crew(settings, without=[Role.PRODUCE, Role.SERVE], batch_every=1.0).start() as crew:
                # what was counted before the switch, and what came while nothing counted
                ends = ends_of(settings)
                answer = until(lambda s=settings, e=ends: covering(s, e), within_s=BOUND_S, what=f"{mode} to go on")  # type: ignore[misc]
                assert [child.name for child in crew.supervisor.children if child.restarts] == []
            assert all(ends[source] >= offset for source, offset in before.items())
            # traffic goes on, and nothing counts any more: what is uncounted is no difference
            judged, verdict = judge(settings, wait_s=0)
            assert verdict.compared_cells > 0
            assert not verdict.differences, (mode, verdict.differences[:5])
            # nothing that the mode before had counted is missing, duplicates beyond a horizon aside
            total = judged.total[0] + judged.total[1]
            assert total > 0.98 * counted, (mode, total, counted)
            counted, before = total, dict(answer.vector)
        assert stage.notes == []
