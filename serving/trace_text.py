"""A trace for the terminal: a block of lines for each record."""

from __future__ import annotations

from typing import Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from core.cells import MINUTE_MS, Cells
from core.rfc3339 import to_text
from serving.plain import money, safe
from serving.trace import Occurrence, Trace, Verdict

#: So many records are drawn; `--json` lists all.
SHOWN: Final = 20
_STYLES: Final = {Verdict.ACCEPTED: "bold green", Verdict.DUPLICATE: "bold yellow", Verdict.REJECTED: "bold red"}


def trace_text(trace: Trace) -> RenderableType:
    """The whole trace."""
    count = len(trace.occurrences)
    parts: list[RenderableType] = [Text(f"{safe(trace.event_id, 64)}: {count:,} record{'' if count == 1 else 's'}")]
    for found in trace.occurrences[:SHOWN]:
        parts += [Text(), _block(found)]
        if found.cells:
            parts.append(Padding(_cells(found.cells), (0, 0, 0, 2)))
    if count > SHOWN:
        parts += [Text(), Text(f"and {count - SHOWN:,} more: see --json")]
    return Group(*parts)


def _block(found: Occurrence) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    key = "no key" if found.key is None else f"key {safe(found.key.decode('utf-8', 'replace'))}"
    # as texts: brackets in strings are markup
    table.add_row("record", Text(f"{found.place}, appended {to_text(found.append_ms)}, epoch {found.epoch}, {key}"))
    table.add_row("producer", "-" if found.producer is None else Text(safe(found.producer, 60)))
    if found.redrive_of is not None:
        table.add_row("repairs", Text(f"the dead letter {safe(found.redrive_of, 60)}"))
    table.add_row("verdict", _verdict(found))
    if found.time_ms is not None:
        late = "late: after the watermark" if found.late else "not late"
        table.add_row("event time", f"{to_text(found.time_ms)}, {late}")
    table.add_row("counted by", Text(counted_words(found), style="yellow" if found.differs else ""))
    return table


def _verdict(found: Occurrence) -> Text:
    text = Text(found.verdict, style=_STYLES[found.verdict])
    if found.first is not None:
        text.append(f" of {found.first}", style="default")
    if found.rejected is not None:
        text.append(f" {found.rejected.reason}: {safe(found.rejected.detail, 100)}", style="default")
    if not found.by_id:
        text.append(" (the id is in its bytes, no document says it)", style="default")
    return text


def counted_words(found: Occurrence) -> str:
    """Which view decides on a record now, and how, in words."""
    view, version, why = found.counted_by
    if view == "batch":
        place = f"batch view v{version}"
    elif view == "speed":
        place = f"speed view, epoch {found.epoch}"
    elif view == "pending":
        return "no view yet"
    else:
        return f"{view}: {safe(why, 100)}"
    if found.differs:
        as_what = "one more event" if found.speed_verdict is Verdict.ACCEPTED else "a duplicate"
        return f"{place}, as {as_what}: its horizon does not reach the other record; the next batch view puts it right"
    return place if found.verdict is Verdict.ACCEPTED else f"{place}, as {found.verdict}, in no cell"


def _cells(cells: Cells) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("minute", "dimension", "value"):
        table.add_column(name, no_wrap=True)
    for name in ("clicks", "sales", "units", "EUR"):
        table.add_column(name, justify="right", no_wrap=True)
    for key, cell in cells.items():
        table.add_row(
            to_text(key.minute * MINUTE_MS)[:16],
            key.dimension,
            Text(safe(key.value, 24)),
            f"{cell.clicks:,}",
            f"{cell.sales:,}",
            f"{cell.units:,}",
            money(cell.revenue_cents),
        )
    return table
