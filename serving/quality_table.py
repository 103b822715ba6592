"""The quality report of a version as a table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from serving.harmless import harmless, safe
from serving.table import Column, Table

_MOST: Final = 200


def quality_table(report: Mapping[str, Any], title: str) -> RenderableType:
    """Draws the JSON of a report, as a manifest keeps it; an empty one: no rules ran."""
    if not report:
        return Text(f"{safe(title, 60)}: no quality rules ran on it")
    table = Table(
        Column(""),
        Column("rule", folds=True),
        Column("checks", folds=True),
        Column("expected", folds=True, most=_MOST),
        Column("observed", folds=True, most=_MOST),
        title=title,
    )
    for check in report["checks"]:
        table.add(*_row(check))
    words = f"{report['passed']} of {report['total']} checks passed, {100 * report['share']:.1f} %"
    stopping = sum(check["severity"] == "error" and not check["passed"] for check in report["checks"])
    if stopping:
        words += f"; {stopping} of severity error failed: this is not published"
    return Group(table, Text(words, style="bold red" if stopping else "bold"))


def _row(check: Mapping[str, Any]) -> tuple[Text, ...]:
    if check["passed"]:
        mark = Text("ok", style="green")
    else:
        mark = Text("FAIL", style="bold red") if check["severity"] == "error" else Text("warn", style="yellow")
    place = f"{check['table']}.{check['column']}" if check["column"] else check["table"]
    observed = check["observed"]
    if check["examples"] and not check["passed"]:
        observed += f": {', '.join(check['examples'])}"
    texts = (check["rule"], f"{check['kind']} {place}", check["expected"], observed)
    return (mark, *(Text(harmless(text)) for text in texts))
