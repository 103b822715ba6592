"""The bug-fix drill in the terminal."""

from __future__ import annotations

from io import StringIO
from typing import Any

from rich.console import Console

from serving.drill_table import drill_table, drills_table


def document(mode: str, repaired: int) -> dict[str, Any]:
    looks = [
        {
            "seconds": second / 2,
            "revenue_cents": 10_000 * second // (2 if second < 20 else 1),
            "true_revenue_cents": 10_000 * second,
            "error": 0.5 if second < 20 else 0.0,
            "wrong_cells": 9 if second < 20 else 0,
            "cells": 40,
            "from": "speed view",
        }
        for second in range(1, 25)
    ]
    return {
        "mode": mode,
        "repair": "by a replay",
        "wrong_seconds": 10.0,
        "repair_seconds": 2.0,
        "measure": "revenue_cents",
        "money": "EUR",
        "stream": "sales",
        "sales_counted_wrong": 1_000,
        "sales_repaired": repaired,
        "sales_never_repaired": 1_000 - repaired,
        "sales_out_of_reach_when_found": 0,
        "events": [
            {"seconds": 0.0, "what": "counted by the logic price-only"},
            {"seconds": 8.0, "what": "the error is found"},
            {"seconds": 10.0, "what": "every number is exact again"},
        ],
        "looks": looks,
    }


def drawn(drawing: object) -> str:
    console = Console(width=110, record=True, file=StringIO())
    console.print(drawing)
    return console.export_text()


def test_looks_stand_between_the_events_in_the_order_of_time() -> None:
    text = drawn(drill_table(document("kappa", 1_000)))
    times = [float(line.split()[0]) for line in text.splitlines() if line[:8].strip().replace(".", "").isdigit()]
    assert times == sorted(times)
    assert len(times) < 25
    assert "100.00" in text
    assert "50.00%" in text
    assert "of 1,000 sales that were counted wrong, 1,000 are counted right now" in text
    assert "left the window" not in text


def test_what_is_lost_is_said() -> None:
    text = drawn(drill_table(document("streaming", 0)))
    assert "1,000 are not: they left the window with the wrong numbers" in text


def test_modes_stand_beside_each_other() -> None:
    text = drawn(drills_table([document("kappa", 1_000), document("streaming", 0)]))
    assert "100%" in text
    assert "0%" in text
