"""Versions of the batch view as a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from serving.table import Column, Table


def batch_versions_table(versions: Iterable[Mapping[str, Any]]) -> Table:
    """Draws the list of `fourfold versions --json`."""
    table = Table(
        Column("version", right=True),
        Column("created"),
        Column("covers until"),
        Column("accepted", right=True, with_next=True),
        Column("duplicates", right=True),
        Column("quality"),
        Column("engine"),
    )
    for version in versions:
        report = version["quality"]
        table.add(
            f"{'→ ' if version['current'] else ''}{version['version']}",
            _short(version["created"]),
            _short(version["cut_time"]),
            f"{version['accepted']:,}",
            f"{version['duplicates']:,}",
            f"{report['passed']} of {report['total']}" if report else "-",
            f"{version['engine']}{', full' if version['full'] else ''}",
        )
    return table


def _short(text: str) -> str:
    """A time without year and fraction: `11-25 04:44:30`."""
    return text[5:19].replace("T", " ")
