"""The bug-fix drill as a timeline for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from serving.plain import money, safe

#: Rows between two events, at most.
_BETWEEN: Final = 5


def drill_table(document: Mapping[str, Any]) -> RenderableType:
    """Draws one mode's document of `fourfold drill bugfix --json`: looks, and events as lines between them."""
    return Group(
        Text(f"bug-fix drill: {document['mode']}", style="bold"),
        Text(
            f"{'seconds':>8}{'answered EUR':>16}{'true EUR':>16}{'error':>10}{'wrong cells':>14}  answered from", "dim"
        ),
        *_lines(document),
        Text(),
        *map(Text, drill_words(document)),
    )


def drill_words(document: Mapping[str, Any]) -> list[str]:
    """What came of it, in sentences."""
    counted, repaired, lost = (
        document[f"sales_{name}"] for name in ("counted_wrong", "repaired", "never_repaired")
    )  # fmt: skip
    words = [
        f"wrong for {document['wrong_seconds']:.1f} s; right {document['repair_seconds']:.1f} s after the repair began",
        f"of {counted:,} sales that were counted wrong, {repaired:,} are counted right now",
    ]
    if lost:
        words.append(
            f"{lost:,} are not: they left the window with the wrong numbers "
            f"({document['sales_out_of_reach_when_found']:,} of them before the error was found)"
        )
    return words


def drills_table(documents: Sequence[Mapping[str, Any]]) -> Table:
    """The modes beside each other."""
    table = Table(title="the same error in each mode", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("mode", no_wrap=True)
    for name in ("wrong for, s", "repair took, s", "sales counted wrong", "right now"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("repair", overflow="fold")
    for document in documents:
        counted, repaired = document["sales_counted_wrong"], document["sales_repaired"]
        table.add_row(
            document["mode"],
            f"{document['wrong_seconds']:.1f}",
            f"{document['repair_seconds']:.1f}",
            f"{counted:,}",
            f"{repaired / counted:.0%}" if counted else "-",
            document["repair"],
        )
    return table


def _lines(document: Mapping[str, Any]) -> Iterator[Text]:
    looks, events = document["looks"], document["events"]
    marks = [event["seconds"] for event in events]
    entries = [(event["seconds"], 0, Text(f"{event['seconds']:8.1f}  {event['what']}", "bold")) for event in events]
    for start, end in pairwise([0.0, *marks]):
        between = [look for look in looks if start < look["seconds"] < end]
        entries += [(look["seconds"], 1, _line(look)) for look in between[:: max(1, len(between) // _BETWEEN)]]
    entries += [(look["seconds"], 1, _line(look)) for look in looks if look["seconds"] >= marks[-1]]
    return (text for _, _, text in sorted(entries, key=lambda entry: entry[:2]))


def _line(look: Mapping[str, Any]) -> Text:
    wrong = look["wrong_cells"]
    text = Text(f"{look['seconds']:8.1f}{money(look['revenue_cents']):>16}{money(look['true_revenue_cents']):>16}")
    text.append(f"{look['error']:>10.2%}{wrong:>14,}", style="red" if wrong else "green")
    return text.append(f"  {safe(look['from'], 40)}", style="dim")
