"""Versions of a job and their differences as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from core.rfc3339 import to_text
from serving.harmless import harmless
from serving.table import Column, Table


def versions_table(versions: Iterable[Mapping[str, Any]]) -> Table:
    """Draws the list of `fourfold replay status --json`."""
    table = Table(
        Column("version"),
        Column("answers"),
        Column("counted", right=True),
        Column("behind", right=True),
        Column("logic"),
        Column("started"),
    )
    for version in versions:
        answers = "now" if version["active"] else "before" if version["previous"] else "no"
        started = to_text(version["created_ms"])[:19].replace("T", " ")
        numbers = (f"{version[name]:,}" for name in ("counted", "lag"))
        table.add(version["name"], answers, *numbers, version["logic"], started)
    return table


def diff_table(before: str, after: str, document: Mapping[str, Any]) -> RenderableType:
    """Draws the document of `fourfold replay diff --json`."""
    place = "at the same offsets" if document["until"] is None else f"below {document['until']} of append time"
    if document["minutes_since"] is not None:
        place += f", by hours (or days) where event time is before {document['minutes_since']}"
    compared, differing = document["compared_cells"], document["differing_cells"]
    words = (
        f"{compared:,} cells compared {place}: {differing:,} differ"
        if differing
        else (f"{compared:,} cells compared {place}: all equal")
    )
    parts: list[RenderableType] = [Text(words, style="green" if document["equal"] else "bold yellow")]
    if not document["equal"]:
        sides = (Column(harmless(before), right=True, with_next=True), Column(harmless(after), right=True))
        table = Table(Column("total"), *sides, Column("change", right=True))
        for measure, total in document["totals"].items():
            table.add(measure, *_pair(total), f"{total['percent']:.4g} %")
        for name, counter in document["counters"].items():
            table.add(name, *_pair(counter), "")
        parts.append(table)
        parts += [_largest(document["largest"], [*document["totals"]], before, after)] if document["largest"] else []
    return Group(*parts)


def _largest(changes: Iterable[Mapping[str, Any]], measures: Sequence[str], before: str, after: str) -> Table:
    table = Table(
        Column("minute"),
        Column("cell", folds=True),
        Column("measure", with_next=True),
        Column(harmless(before), right=True, with_next=True),
        Column(harmless(after), right=True),
        title="largest changes",
    )
    for change in changes:
        place = f"{change['dimension']} {change['value']}".strip()
        for measure in measures:
            pair = {side: (change[side] or {}).get(measure, 0) for side in ("before", "after")}
            if pair["before"] != pair["after"]:
                table.add(change["minute"][:16].replace("T", " "), place, measure, *_pair(pair))
    return table


def _pair(numbers: Mapping[str, int]) -> tuple[str, str]:
    return f"{numbers['before']:,}", f"{numbers['after']:,}"
