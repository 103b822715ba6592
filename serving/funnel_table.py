"""The funnel of a day as a table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from serving.table import Column, Table


def funnel_table(document: Mapping[str, Any]) -> RenderableType:
    """Draws the document of `fourfold day --json`."""
    title = f"day {document['profile']}, run {document['run']}, {document['seconds']:.0f} s"
    names = ("hour", "source", "after validation", "after transformation", "loss")
    table = Table(*(Column(name, right=True) for name in names), title=title)
    for row in document["hours"]:
        table.add(*_row(f"{row['hour']:02}", row))
    table.add(*_row("day", document["total"]), style="bold")
    return Group(table, *(Text(words, style="green" if good else "bold red") for words, good in _remarks(document)))


def _row(name: str, stage: Mapping[str, Any]) -> tuple[str, ...]:
    counts = (f"{stage[column]:,}" for column in ("source", "valid", "unique"))
    return (name, *counts, f"{stage['loss_percent']:.2f} %")


def _losses(document: Mapping[str, Any]) -> str:
    """What became of each record that is not left, and of late ones, which are."""
    total, losses = document["total"], document["losses"]
    reasons = ", ".join(f"{name.replace('_', ' ')} {number:,}" for name, number in losses["rejected"].items())
    rejected = sum(losses["rejected"].values())
    late = "" if document["late"] is None else f"; late {document['late']:,}, which are counted all the same"
    return (
        f"lost {total['source'] - total['unique']:,}: rejected {rejected:,}{f' ({reasons})' if reasons else ''}, "
        f"duplicates {losses['duplicates']:,}, each event counts once{late}"
    )


def _remarks(document: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """What the counts were compared with, in words, and whether that is well."""
    figures = " / ".join(f"{document['profile_total'][name]:,}" for name in ("source", "valid", "unique"))
    remarks = [
        (f"the profile's figures, hour by hour: {figures}", True)
        if document["as_profile"]
        else (f"NOT the profile's figures ({figures}) in hours {', '.join(map(str, document['hours_off']))}", False)
    ]
    remarks.append((_losses(document), True))
    if document["missing"]:
        less = "fewer" if document["missing"] > 0 else "more"
        remarks.append((f"the raw table has {abs(document['missing']):,} rows {less} than the log", False))
    view = document["batch_view"]
    name = f"batch view v{view['version']}"
    if view["agrees"] is None:
        remarks.append(
            (f"{name} counts {view['others']:,} records of others besides: its counters were not compared", True)
        )
    else:
        counters = ", ".join(f"{count:,} {kind}" for kind, count in view["counters"].items())
        agreement = "agrees with the table" if view["agrees"] else "does NOT agree with the table"
        remarks.append((f"{name} {agreement}: it added {counters}", view["agrees"]))
    return remarks
