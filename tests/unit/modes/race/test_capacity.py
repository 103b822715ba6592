"""Capacity: from what was measured, by formulas that are shown."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import ConfigurationError
from modes.race.capacity import BUSY, Capacity, Load, plan
from tests.support.race_document import document, lap, levels

LOAD = Load(events_per_second=50_000, keys=1_000, history_s=30 * 24 * 3600)
WINDOW_S = 6 * 3600.0


def amounts(found: Capacity) -> dict[str, float]:
    return {line.what: line.amount for line in found.lines}


def measured(mode: str) -> dict[str, Any]:
    # 0.1 cores and 10 microseconds an event
    return document(lap(mode, throughput=levels((5_000, 0.15), (10_000, 0.2), (20_000, 0.3))))


def test_cores_follow_the_line_through_the_measured_loads() -> None:
    found = plan(measured("kappa"), "kappa", LOAD, WINDOW_S)
    # 0.1 + 50,000 x 10 us = 0.6 cores, busy for 60 %
    assert BUSY == 0.6
    assert amounts(found)["workers"] == 1
    assert amounts(plan(measured("kappa"), "kappa", Load(500_000, 10, 3600), WINDOW_S))["workers"] == 9
    workers = next(line for line in found.lines if line.what == "workers")
    assert "0.10 + 50,000/s x 10.0 us" in workers.formula


def test_one_rate_is_a_bound_and_says_so() -> None:
    found = plan(document(lap("kappa")), "kappa", LOAD, WINDOW_S)
    assert amounts(found)["workers"] == 9
    assert "it was measured at one rate" in found.lines[0].formula


def test_disks_grow_with_events_history_and_replicas() -> None:
    one = amounts(plan(measured("kappa"), "kappa", LOAD, WINDOW_S))["disk of Kafka"]
    three = amounts(plan(measured("kappa"), "kappa", Load(50_000, 1_000, 30 * 24 * 3600, 3), WINDOW_S))["disk of Kafka"]
    assert one == pytest.approx(50_000 * 30 * 24 * 3600 * (5_500_000 / 30_000) / 1e9, rel=0.01)
    assert three == pytest.approx(3 * one, rel=0.01)


def test_a_window_bounds_what_streaming_keeps() -> None:
    kappa, streaming = (amounts(plan(measured(mode), mode, LOAD, WINDOW_S)) for mode in ("kappa", "streaming"))
    assert streaming["disk of Kafka"] < kappa["disk of Kafka"] / 50
    assert streaming["memory of Redis"] < kappa["memory of Redis"] / 50


def test_parts_that_a_mode_has_not_are_not_planned() -> None:
    batch = amounts(plan(measured("batch"), "batch", LOAD, WINDOW_S))
    assert "workers" not in batch
    assert "memory of Redis" not in batch
    assert "Parquet" in batch
    assert "Parquet" not in amounts(plan(measured("kappa"), "kappa", LOAD, WINDOW_S))


def test_beyond_what_was_measured_is_said() -> None:
    inside = plan(measured("kappa"), "kappa", Load(10_000, 10, 3600), WINDOW_S)
    assert "assumed" not in inside.valid
    assert "from 2,000 to 20,000 events/s" in inside.valid
    assert "2.5 times that, and it is assumed" in plan(measured("kappa"), "kappa", LOAD, WINDOW_S).valid


def test_what_cannot_be_planned_is_said() -> None:
    with pytest.raises(ConfigurationError, match="did not measure batch"):
        plan(measured("kappa"), "batch", LOAD, WINDOW_S)
    with pytest.raises(ConfigurationError, match="1,000,000"):
        plan(measured("kappa"), "kappa", Load(2_000_000, 10, 3600), WINDOW_S)


def test_a_report_of_an_older_form_is_planned_from_without_what_it_lacks() -> None:
    old = document(
        *({name: figure for name, figure in each.items() if name != "speed_cells"} for each in document()["laps"])
    )
    found = plan(old, "lambda", LOAD, WINDOW_S)
    assert "memory of Redis" not in amounts(found)
    assert "memory of the workers" in amounts(found)
    assert found.open == ["memory of Redis: this report's race did not count Redis' cells yet; `fourfold race` does"]
    assert plan(document(), "lambda", LOAD, WINDOW_S).open == []
