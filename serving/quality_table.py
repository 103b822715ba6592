"""The quality report of a version as a table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from serving.plain import safe


def quality_table(report: Mapping[str, Any], title: str) -> RenderableType:
    """Draws the JSON of a report, as a manifest keeps it; an empty one: no rules ran."""
    if not report:
        return Text(f"{safe(title, 60)}: no quality rules ran on it")
    table = Table(title=Text(safe(title, 60)), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, expand=True)
    table.add_column("", width=4)
    table.add_column("rule", ratio=5)
    table.add_column("checks", ratio=6)
    table.add_column("expected", ratio=4)
    table.add_column("observed", ratio=6)
    for check in report["checks"]:
        table.add_row(*_row(check))
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
    observed = safe(check["observed"], 60)
    if check["examples"] and not check["passed"]:
        observed += f": {safe(', '.join(check['examples']), 60)}"
    texts = (check["rule"], f"{check['kind']} {place}", check["expected"])
    return (mark, *(Text(safe(text, 60)) for text in texts), Text(observed))
