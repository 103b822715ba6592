"""Documents of races that were not run: figures that tests choose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modes.catalogue import MODES, mode_named
from modes.race.course import judge
from modes.race.plan import Plan
from modes.race.prices import Prices, money
from modes.race.summary import spread, summary

#: freshness p99 in s, accuracy at the end, CPU s per million of the workers and of the batch role, lines of its own
FIGURES: Mapping[str, tuple[float, float, float, float, int]] = {
    "batch": (14.8, 1.0, 0.0, 50.0, 3_000),
    "streaming": (0.15, 0.9997, 100.0, 0.0, 1_200),
    "lambda": (0.33, 1.0, 110.0, 55.0, 4_200),
    "kappa": (0.2, 0.9997, 100.0, 0.0, 2_700),
}


def lap(mode: str, number: int = 1, **more: Any) -> dict[str, Any]:
    """One lap of 30,000 events at 2,000/s."""
    row = mode_named(mode)
    fresh, accuracy, process, batch, own = FIGURES[mode]
    cpu = {"kafka": 190.0, "produce": 70.0, "redis": 15.0, "serve": 40.0}
    cpu |= {"process": process} if process else {}
    cpu |= {"batch": batch} if batch else {}
    # the levels below go on from here: 0.1 cores and 10 us an event
    cpu |= dict.fromkeys(cpu, (0.1 + 0.02) / 2_000 * 1e6) if "throughput" in more else {}
    known = ("clicks", "sales", "units", "revenue_cents", "duplicates", "late", "users")
    found: dict[str, Any] = {
        "round": number,
        "mode": mode,
        "counted": {
            "records": 30_000, "accepted": 29_000, "duplicates": 700, "late": 140, "rejected": {},
            "totals": {}, "true": {}, "users": {"counted": 10, "true": 10, "exact": True},
            "accuracy": dict.fromkeys(known, 1.0),
        },
        "record_bytes": 13_600_000,
        "freshness": {"records": 20_000, "p50": fresh / 2, "p95": fresh, "p99": fresh, "max": fresh, "curve": [[1.0, fresh, fresh], [2.0, fresh, fresh]]},
        "accuracy": {
            "end": accuracy, "wrong_cells": 0, "cells": 300,
            "looks": [{"seconds": s, "accuracy": accuracy, "covered": 0.9, "wrong": 0, "right": dict.fromkeys(known, accuracy)} for s in (1.0, 3.0)],
        },
        "query": {"questions": 300, "refused": 0, "p50": 0.005, "p95": 0.05, "p99": 0.1},
        "cpu_s_per_million": cpu,
        "peak_bytes": {"kafka": 400_000_000, "process": 180_000_000, "serve": 150_000_000, "produce": 130_000_000},
        "stored": {
            "kafka": 5_500_000, "redis": 75_000 if row.speed_view else 0,
            "raw": 1_000_000 if row.archive else 0, "views": 400_000 if row.archive else 0,
        },
        "speed_cells": 300 if row.speed_view else 0,
        "seconds": 20.0,
        "complexity": {
            "processes": 4, "stores": ["Kafka"], "modules": 100, "lines": 9_000, "own_lines": own, "settings": 35,
        },
        }  # fmt: skip
    found |= more
    found["money"] = money(row, found, 30_000, 2_000, Prices())
    return found


def levels(*cores: tuple[float, float]) -> dict[str, Any]:
    """Measured loads: (events/s, cores of each role)."""
    return {
        "sustained": cores[-1][0],
        "at_least": True,
        "levels": [
            {
                "rate": rate, "drain_s": 0.1, "sustained": True,
                "cores": dict.fromkeys(("kafka", "redis", "process", "batch", "serve", "produce"), each),
            }
            for rate, each in cores
        ],
    }  # fmt: skip


def document(*laps: dict[str, Any], repeat: int = 1) -> dict[str, Any]:
    """The document of a race; without laps, one of each mode."""
    laps = laps or tuple(lap(mode) for mode in MODES)
    modes = tuple(dict.fromkeys(each["mode"] for each in laps))
    found = summary(laps)
    return {
        "race": 1,
        "made": "2026-01-31T12:00:00+00:00",
        "seconds": 100.0,
        "command": "fourfold race --quick",
        "machine": {
            "cores": 2, "memory_gb": 8.0, "system": "Linux", "python": "3.11", "load": 0.1, "packages": {"fourfold": "0"},
        },
        "plan": Plan(modes=modes, repeat=repeat).quick().as_json() | {"repeat": repeat},
        "times_shorter": 5,
        "settings": {mode: {"batch_seconds": 12.0} for mode in modes},
        "prices": Prices().as_json(),
        "laps": list(laps),
        "summary": found,
        "spread": spread(found),
        "course": judge(found, repeat),
        "missing": ["<b>recovery</b> was not asked for"],
    }  # fmt: skip
