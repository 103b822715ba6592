"""Versions of a job and their differences as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from core.cells import MEASURES
from core.rfc3339 import to_text
from serving.plain import safe


def versions_table(versions: Iterable[Mapping[str, Any]]) -> Table:
    """Draws the list of `fourfold replay status --json`."""
    table = Table(box=None, header_style="dim")
    for name in ("version", "logic", "started"):
        table.add_column(name, no_wrap=True)
    for name in ("counted", "behind"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for version in versions:
        answers = "answers" if version["active"] else "answered before" if version["previous"] else ""
        started = to_text(version["created_ms"])[:19].replace("T", " ")
        numbers = (f"{version[name]:,}" for name in ("counted", "lag"))
        table.add_row(safe(version["name"]), safe(version["logic"]), started, *numbers, answers)
    return table


def diff_table(before: str, after: str, document: Mapping[str, Any]) -> RenderableType:
    """Draws the document of `fourfold replay diff --json`."""
    place = "at the same offsets" if document["until"] is None else f"below {document['until']} of append time"
    compared, differing = document["compared_cells"], document["differing_cells"]
    words = (
        f"{compared:,} cells compared {place}: {differing:,} differ"
        if differing
        else (f"{compared:,} cells compared {place}: all equal")
    )
    parts: list[RenderableType] = [Text(words, style="green" if document["equal"] else "bold yellow")]
    if not document["equal"]:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name, justify in (("total", "left"), (before, "right"), (after, "right"), ("change", "right")):
            table.add_column(safe(name), justify=justify, no_wrap=True)  # type: ignore[arg-type]
        for measure in MEASURES:
            total = document["totals"][measure]
            table.add_row(measure, *_pair(total), f"{total['percent']:.4g} %")
        for name, counter in document["counters"].items():
            table.add_row(safe(name), *_pair(counter), "")
        parts.append(table)
        parts += [_largest(document["largest"], before, after)] if document["largest"] else []
    return Group(*parts)


def _largest(changes: Iterable[Mapping[str, Any]], before: str, after: str) -> Table:
    table = Table(title="largest changes", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("minute", "cell", "measure"):
        table.add_column(name, no_wrap=True)
    for name in (before, after):
        table.add_column(safe(name), justify="right", no_wrap=True)
    for change in changes:
        place = f"{change['dimension']} {change['value']}".strip()
        for measure in MEASURES:
            pair = {side: (change[side] or {}).get(measure, 0) for side in ("before", "after")}
            if pair["before"] != pair["after"]:
                table.add_row(change["minute"][:16].replace("T", " "), safe(place, 40), measure, *_pair(pair))
    return table


def _pair(numbers: Mapping[str, int]) -> tuple[str, str]:
    return f"{numbers['before']:,}", f"{numbers['after']:,}"
