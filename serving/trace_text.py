"""A trace for the terminal: a block of lines for each record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from core.cells import MINUTE_MS, Cells
from core.rfc3339 import to_text
from serving.fields import Fields
from serving.harmless import harmless
from serving.measures import ShownMeasure
from serving.table import Column, Table
from serving.trace import Occurrence, Trace, Verdict

#: So many records are drawn; `--json` lists all.
SHOWN: Final = 20
_STYLES: Final = {Verdict.ACCEPTED: "bold green", Verdict.DUPLICATE: "bold yellow", Verdict.REJECTED: "bold red"}


def trace_text(trace: Trace, shown: Sequence[ShownMeasure]) -> RenderableType:
    """The whole trace. `shown`: the measures."""
    count = len(trace.occurrences)
    parts: list[RenderableType] = [Text(f"{harmless(trace.event_id)}: {count:,} record{'' if count == 1 else 's'}")]
    for found in trace.occurrences[:SHOWN]:
        parts += [Text(), _block(found)]
        if found.cells:
            parts.append(_cells(found.cells, shown))
    if count > SHOWN:
        parts += [Text(), Text(f"and {count - SHOWN:,} more: see --json")]
    return Group(*parts)


def _block(found: Occurrence) -> Fields:
    fields = Fields()
    key = "no key" if found.key is None else f"key {found.key.decode('utf-8', 'replace')}"
    fields.add("record", f"{found.place}, appended {to_text(found.append_ms)}, epoch {found.epoch}, {key}")
    fields.add("producer", "-" if found.producer is None else found.producer)
    if found.redrive_of is not None:
        fields.add("repairs", f"the dead letter {found.redrive_of}")
    fields.add("verdict", _verdict(found))
    if found.time_ms is not None:
        late = "late: after the watermark" if found.late else "not late"
        fields.add("event time", f"{to_text(found.time_ms)}, {late}")
    fields.add("counted by", Text(counted_words(found), style="yellow" if found.differs else ""))
    return fields


def _verdict(found: Occurrence) -> Text:
    text = Text(found.verdict, style=_STYLES[found.verdict])
    if found.first is not None:
        text.append(f" of {found.first}", style="default")
    if found.rejected is not None:
        text.append(f" {found.rejected.reason}: {harmless(found.rejected.detail)}", style="default")
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
        return f"{view}: {harmless(why)}"
    if found.differs:
        as_what = "one more event" if found.speed_verdict is Verdict.ACCEPTED else "a duplicate"
        return f"{place}, as {as_what}: its horizon does not reach the other record; the next batch view puts it right"
    return place if found.verdict is Verdict.ACCEPTED else f"{place}, as {found.verdict}, in no cell"


def _cells(cells: Cells, shown: Sequence[ShownMeasure]) -> Table:
    numbers = (Column(measure.column, right=True, with_next=measure is not shown[-1]) for measure in shown)
    table = Table(
        Column("minute"), Column("dimension", with_next=True), Column("value", folds=True), *numbers, indent=2
    )
    for key, cell in cells.items():
        table.add(
            to_text(key.minute * MINUTE_MS)[:16],
            key.dimension,
            key.value,
            *(measure.text(cell) for measure in shown),
        )
    return table
