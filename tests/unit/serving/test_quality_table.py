"""The quality report in the terminal."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from serving.quality_table import quality_table


def drawn(report: dict[str, Any], title: str = "quality of version 3") -> str:
    console = Console(file=io.StringIO(), width=100, force_terminal=False)
    console.print(quality_table(report, title))
    return console.file.getvalue()  # type: ignore[attr-defined]


def row(**changed: Any) -> dict[str, Any]:
    fields = {
        "rule": "few nulls",
        "table": "sales",
        "column": "user_id",
        "kind": "null_share",
        "severity": "error",
        "passed": True,
        "observed": "none of 5 null",
        "expected": "no nulls",
        "failing": 0,
        "examples": [],
    }
    return fields | changed


def report(*checks: dict[str, Any]) -> dict[str, Any]:
    passed = sum(c["passed"] for c in checks)
    return {"checked_ms": 1, "passed": passed, "total": len(checks), "share": passed / len(checks), "checks": checks}


def test_all_passed() -> None:
    text = drawn(report(row()))
    assert "few nulls" in text
    assert "1 of 1 checks passed, 100.0 %" in text
    assert "not published" not in text


def test_a_failed_error_says_that_it_stops_and_shows_examples() -> None:
    failed = row(passed=False, observed="1 of 5 outside", examples=["-5"])
    text = drawn(report(row(), failed, row(severity="warning", passed=False, column="")))
    assert "FAIL" in text
    assert "warn" in text
    assert "outside: -5" in " ".join(text.split())
    assert "1 of 3 checks passed, 33.3 %; 1 of severity error failed: this is not published" in text


def test_hostile_text_is_harmless() -> None:
    text = drawn(report(row(rule="\x1b[31m[red]x[/red]", observed="\u202eabc\n")), "\x1b]0;t\x07")
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[red]" in text


def test_without_a_report_it_says_so() -> None:
    assert drawn({}) == "quality of version 3: no quality rules ran on it\n"
