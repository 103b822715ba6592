"""The bug-fix drill as a timeline for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from serving.measures import money
from serving.table import Column, Table

#: Rows between two events, at most.
_BETWEEN: Final = 5


def drill_table(document: Mapping[str, Any]) -> RenderableType:
    """Draws one mode's document of `fourfold drill bugfix --json`: looks, and events as lines between them."""
    unit = document["money"] or document["measure"]
    names = ("seconds", f"answered {unit}", f"true {unit}", "error", "wrong cells")
    columns = [Column(name, right=True) for name in names]
    table = Table(*columns, Column("answered from", folds=True), title=f"bug-fix drill: {document['mode']}")
    for entry in _entries(document):
        if "what" in entry:
            table.heading(f"{entry['seconds']:7.1f}  {entry['what']}")
        else:
            table.add(*_cells(entry, document["measure"], document["money"]))
    return Group(table, Text(), *map(Text, drill_words(document)))


def drill_words(document: Mapping[str, Any]) -> list[str]:
    """What came of it, in sentences."""
    stream = document["stream"]
    counted, repaired, lost = (
        document[f"{stream}_{name}"] for name in ("counted_wrong", "repaired", "never_repaired")
    )  # fmt: skip
    words = [
        f"wrong for {document['wrong_seconds']:.1f} s; right {document['repair_seconds']:.1f} s after the repair began",
        f"of {counted:,} {stream} that were counted wrong, {repaired:,} are counted right now",
    ]
    if lost:
        words.append(
            f"{lost:,} are not: they left the window with the wrong numbers "
            f"({document[f'{stream}_out_of_reach_when_found']:,} of them before the error was found)"
        )
    return words


def drills_table(documents: Sequence[Mapping[str, Any]]) -> Table:
    """The modes beside each other."""
    stream = documents[0]["stream"]
    names = ("wrong for, s", "repair took, s", f"{stream} counted wrong", "right now")
    columns = [Column(name, right=True) for name in names]
    table = Table(Column("mode"), *columns, Column("repair", folds=True), title="the same error in each mode")
    for document in documents:
        counted, repaired = document[f"{stream}_counted_wrong"], document[f"{stream}_repaired"]
        table.add(
            document["mode"],
            f"{document['wrong_seconds']:.1f}",
            f"{document['repair_seconds']:.1f}",
            f"{counted:,}",
            f"{repaired / counted:.0%}" if counted else "-",
            document["repair"],
        )
    return table


def _entries(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Events, and looks between them, in the order of time."""
    looks, events = document["looks"], document["events"]
    marks = [event["seconds"] for event in events]
    entries = [(event["seconds"], 0, event) for event in events]
    for start, end in pairwise([0.0, *marks]):
        between = [look for look in looks if start < look["seconds"] < end]
        entries += [(look["seconds"], 1, look) for look in between[:: max(1, len(between) // _BETWEEN)]]
    entries += [(look["seconds"], 1, look) for look in looks if look["seconds"] >= marks[-1]]
    return (entry for _, _, entry in sorted(entries, key=lambda entry: entry[:2]))


def _cells(look: Mapping[str, Any], measure: str, code: str) -> tuple[str | Text, ...]:
    style = "red" if look["wrong_cells"] else "green"
    return (
        f"{look['seconds']:.1f}",
        *(money(number) if code else f"{number:,}" for number in (look[measure], look[f"true_{measure}"])),
        Text(f"{look['error']:.2%}", style),
        Text(f"{look['wrong_cells']:,}", style),
        look["from"],
    )
