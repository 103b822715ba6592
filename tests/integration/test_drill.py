"""The bug-fix drill: wrong while the error stands, right after the repair; what a mode cannot repair is counted."""

from __future__ import annotations

from typing import Any

import pytest

from modes.bugfix import SHORT, BugfixDrill
from modes.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


def drilled(settings: Settings, mode: str, history_s: float, window_s: float) -> dict[str, Any]:
    settings = settings.model_copy(update={"mode": mode, "rate": 500.0, "api_port": 0})
    return BugfixDrill(settings, history_s, short={**SHORT, "window_hours": window_s / 3600}).run()


@pytest.mark.parametrize("mode", [pytest.param("lambda", marks=pytest.mark.soak), "kappa"])
def test_what_is_kept_is_repaired_whole(settings: Settings, mode: str) -> None:
    found = drilled(settings, mode, history_s=6, window_s=36)
    assert found["sales_counted_wrong"] > 100
    assert found["sales_repaired"] == found["sales_counted_wrong"]
    assert found["sales_never_repaired"] == 0
    wrong = [look for look in found["looks"] if look["wrong_cells"]]
    # quantities are more than one on the mean: revenue without them is far too low, all the time
    assert all(look["error"] > 0.2 for look in wrong if look["seconds"] < 6)
    last = found["looks"][-1]
    assert last["wrong_cells"] == 0
    assert last["revenue_cents"] == last["true_revenue_cents"] > 0


@pytest.mark.soak
def test_what_left_the_window_is_never_repaired(settings: Settings) -> None:
    found = drilled(settings, "streaming", history_s=18, window_s=10)
    assert found["sales_repaired"] == 0
    assert 0 < found["sales_out_of_reach_when_found"] < found["sales_never_repaired"] == found["sales_counted_wrong"]
    # it is right again only when all that was counted wrong has left
    assert found["repair_seconds"] > 7
    assert found["looks"][-1]["wrong_cells"] == 0
