"""Every table on every width: headings whole, and no number, id or time cut; in a pipe a line for each row."""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType

from adapters.embedded.server import ServerStatus
from adapters.kafka.dead_letters import FoundLetter
from adapters.kafka.repairs import Repair
from core.cells import CellKey
from core.position import PartitionKey
from modes.race import report
from serving.batch_version_table import batch_versions_table
from serving.capacity_table import capacity_table
from serving.compare_table import compare_table
from serving.console import WHOLE
from serving.dead_letter_table import before_after, fixes_table, letters_table
from serving.drill_table import drill_table, drills_table
from serving.fields import Fields
from serving.funnel_table import funnel_table
from serving.quality_table import quality_table
from serving.status_text import servers_table, status_text
from serving.table import Column, Table
from serving.trace import CountedBy, Occurrence, Place, Trace, Verdict
from serving.trace_text import trace_text
from serving.version_table import diff_table, versions_table
from tests.support.shop import MEASURES, SHOWN_MEASURES, cell_of

ROOT = Path(__file__).parents[3]
LARGE = 9_223_372_036_854
NOW_MS = 1_764_268_284_123
ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
LETTERS = [
    FoundLetter(PartitionKey("clicks", 0), LARGE, NOW_MS, "unknown_type", "no such type: x " * 9, b'{"id":1}' * 90),
    FoundLetter(PartitionKey("sales", 3), 12, NOW_MS, "bad_format", "price", "\x1b[31m中文".encode()),
]
REPAIR = Repair(PartitionKey("clicks", 0), LARGE, NOW_MS, "clicks", b"u-1", b'{"id":"1","a":2}' * 9, "a rule", ID)
EFFORT = {"seconds": 12_345.67, "cpu_s": 23_456.78, "stored_bytes": 123_456_789_012}
WAY = {"steps": [{"name": "validate and load", **EFFORT}], "total": EFFORT}
LOOK = {"revenue_cents": LARGE, "true_revenue_cents": LARGE, "error": 0.5, "wrong_cells": 123_456, "from": "speed view"}
DRILL = {
    "mode": "streaming",
    "repair": "from now on only: what left the window stays wrong",
    "wrong_seconds": 1234.5,
    "repair_seconds": 1234.5,
    "measure": "revenue_cents",
    "money": "EUR",
    "stream": "sales",
    "sales_counted_wrong": LARGE,
    "sales_repaired": 1,
    "sales_never_repaired": 0,
    "events": [{"seconds": 0.0, "what": "counted wrong"}, {"seconds": 9.0, "what": "right again"}],
    "looks": [{"seconds": second / 2, **LOOK} for second in range(1, 24)],
}
STAGE = {"source": LARGE, "valid": LARGE, "unique": LARGE, "loss_percent": 12.34}
DAY = {
    "profile": "module-01",
    "run": ID,
    "seconds": 60.0,
    "hours": [{"hour": hour, **STAGE} for hour in range(24)],
    "total": STAGE,
    "profile_total": STAGE,
    "as_profile": True,
    "missing": 0,
    "late": LARGE,
    "losses": {"rejected": {"not_json": LARGE, "missing_field": 7}, "duplicates": LARGE},
    "batch_view": {"version": 7, "agrees": True, "counters": {"accepted": LARGE}},
}
VERSION = {
    "version": 1_234,
    "current": True,
    "created": "2026-11-25T04:44:30.123Z",
    "cut_time": "2026-11-25T04:44:20.000Z",
    "accepted": LARGE,
    "duplicates": LARGE,
    "engine": "duckdb",
    "full": True,
    "quality": {"passed": 11, "total": 12},
}
CHECK = {
    "rule": "few nulls in what was sold",
    "table": "sales",
    "column": "unit_price_cents",
    "kind": "null_share",
    "severity": "error",
    "passed": False,
    "observed": "123,456 of 5,000,000 null",
    "expected": "at most 0.1 % null",
    "examples": [ID, ID],
}
JOB = {"name": "v2", "logic": "price-only", "created_ms": NOW_MS, "counted": LARGE, "lag": LARGE}
PAIR = {"before": LARGE, "after": LARGE + 1}
DIFF = {
    "until": None,
    "minutes_since": None,
    "compared_cells": LARGE,
    "differing_cells": 2,
    "equal": False,
    "totals": {name: {**PAIR, "percent": 0.001} for name in ("clicks", "sales", "units", "revenue_cents")},
    "counters": {"duplicates": PAIR},
    "largest": [
        {
            "minute": "2026-11-25T04:44:00Z",
            "dimension": "campaign",
            "value": "a-campaign-with-a-long-name",
            "before": {"clicks": LARGE},
            "after": {"clicks": 1},
        }
    ],
}
PROCESS = {"name": "process-1", "state": "running", "pid": 4_194_303, "restarts": 12, "log": "/home/me/.fourfold/p.log"}
STATUS = {
    "mode": "lambda",
    "namespace": "v1-lambda",
    "addresses": {"kafka": "127.0.0.1:39092", "redis": "redis://127.0.0.1:36379/0", "lake": None, "api": None},
    "servers": [],
    "roles": [{**PROCESS, "reason": "died 5 times in a row: its last words are long, and say what to do"}],
    "parts": [{"name": "process", "state": "down", "says": "still, 1,234 behind"}],
    "lag": {"clicks:0": LARGE},
    "trouble": ["no batch view yet"],
}
SERVER = ServerStatus("kafka", "4.3.1", 4_194_303, "127.0.0.1:39092", True, Path("/h/.fourfold/k.log"), 10**9, 1.0)  # type: ignore[arg-type]
TRACE = Trace(
    ID,
    [
        Occurrence(
            place=Place(PartitionKey("clicks", 3), LARGE),
            append_ms=NOW_MS,
            epoch=176_426_828,
            key=b"user-00012345",
            by_id=True,
            producer="shop/7",
            verdict=Verdict.ACCEPTED,
            speed_verdict=Verdict.ACCEPTED,
            counted_by=CountedBy("speed", None, ""),
            time_ms=NOW_MS,
            late=False,
            cells={CellKey(NOW_MS // 60_000, "campaign", "spring-sale"): cell_of(LARGE, 1, 2, LARGE)},
        )
    ],
    MEASURES,
)
TABLES: dict[str, RenderableType] = {
    "deadletters": letters_table((letter, "dead") for letter in LETTERS),
    "deadletters fix": fixes_table([(LETTERS[0], REPAIR)], [(LETTERS[1], "no rule takes it, however long this is")]),
    "deadletters fix --dry-run": before_after(LETTERS[0], REPAIR),
    "versions": batch_versions_table([VERSION, {**VERSION, "current": False, "quality": None}]),
    "quality": quality_table({"passed": 0, "total": 1, "share": 0.0, "checks": [CHECK]}, "quality of version 1234"),
    "trace": trace_text(TRACE, SHOWN_MEASURES),
    "day": funnel_table(DAY),
    "compare": compare_table(
        {
            "rows": LARGE,
            "cells": LARGE,
            "processes": 2,
            "accepted": LARGE,
            "etl": WAY,
            "elt": WAY,
            "raw_access": [
                {
                    "question": "which pages sold most",
                    "elt": EFFORT,
                    "etl": {"load_again": EFFORT},
                    "answer": [["a", 1]],
                }
            ],
        }
    ),
    "drill": drill_table(DRILL),
    "drill --mode all": drills_table([DRILL]),
    "replay status": versions_table([{**JOB, "active": True, "previous": False}]),
    "replay diff": diff_table("v1", "v2", DIFF),
    "race": report.table(report.read(ROOT / "docs" / "race")),
    "capacity": capacity_table("lambda", [("Kafka's disk", 1_234_567.25, "GB", "5,000 events/s x 300 B x 720 h x 3")]),
    "status": status_text(STATUS),
    "embedded status": servers_table([SERVER]),
}


def rendered(drawing: RenderableType, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(drawing)
    return console.file.getvalue()  # type: ignore[attr-defined]


def parts(drawing: RenderableType) -> Iterator[Table | Fields]:
    if isinstance(drawing, Group):
        for part in drawing.renderables:
            yield from parts(part)
    elif isinstance(drawing, Table | Fields):
        yield drawing


def pieces(drawing: RenderableType, width: int) -> Iterator[str]:
    """What must be there in one piece: headings, cells that are one thing, words of the others."""
    for part in parts(drawing):
        if isinstance(part, Fields):
            yield from (field.name for field in part._fields)
            yield from (word for field in part._fields for word in field.value.plain.split() if len(word) <= width)
            continue
        yield from (column.name for column in part.columns)
        for row in part._rows:
            for column, cell in zip(part.columns, getattr(row, "cells", ()), strict=False):
                if not column.folds:
                    yield cell.plain.strip()
                elif not column.most:
                    yield from (word for word in cell.plain.split() if len(word) <= 20)


@pytest.mark.parametrize("width", [40, 80, 120, 200])
@pytest.mark.parametrize("name", TABLES)
def test_a_terminal_of_any_width_shows_it_whole(name: str, width: int) -> None:
    text = rendered(TABLES[name], width)
    assert all(cell_len(line) <= width for line in text.splitlines())
    missing = [piece for piece in pieces(TABLES[name], width) if piece not in text]
    assert not missing, text
    assert {c for c in text if unicodedata.category(c).startswith("C")} <= {"\n"}


@pytest.mark.parametrize("name", TABLES)
def test_a_pipe_gets_every_row_in_one_line(name: str) -> None:
    lines = rendered(TABLES[name], WHOLE).splitlines()
    for part in parts(TABLES[name]):
        rows = [[field.value] for field in part._fields] if isinstance(part, Fields) else []
        rows += [list(getattr(row, "cells", ())) for row in getattr(part, "_rows", ())]
        for cells in rows:
            assert any(all(cell.plain.strip() in line for cell in cells) for line in lines), cells


def test_columns_go_below_their_row_from_the_last_one_on() -> None:
    table = Table(Column("id"), Column("count", right=True), Column("words", folds=True))
    table.add("clicks:0:12", "1,234", "what was wrong with it")
    assert rendered(table, 50).splitlines() == [
        "id           count  words",
        "clicks:0:12  1,234  what was wrong with it",
    ]
    assert rendered(table, 40).splitlines()[1:] == ["clicks:0:12  1,234  what was wrong with", "                    it"]
    assert rendered(table, 30).splitlines()[1:] == ["clicks:0:12  1,234", "  words  what was wrong with", "         it"]
    assert rendered(table, 12).splitlines()[:3] == ["id", "clicks:0:12", " count 1,234".replace(" count ", "count  ")]


def test_a_long_text_is_cut_on_a_terminal_with_how_much_and_whole_in_a_pipe() -> None:
    table = Table(Column("id"), Column("bytes", folds=True, most=10))
    table.add("1", "x" * 1_234)
    assert "… (1,224 more characters)" in re.sub(r"\s+", " ", rendered(table, 80))
    assert "x" * 1_234 in rendered(table, WHOLE)


def test_markup_is_shown_and_not_obeyed() -> None:
    table = Table(Column("id"), title="[bold]title")
    table.add("[red]1[/red]\x1b[0m")
    table.heading("[/]")
    assert rendered(table, 80).splitlines() == ["[bold]title", "id", "[red]1[/red]·[0m", "[/]"]


def test_there_is_no_other_way_to_draw_a_table() -> None:
    """The live view alone has a grid of its own: it is drawn for one size, again and again."""
    found = {
        file.relative_to(ROOT).as_posix()
        for folder in ("serving", "modes", "batch", "producers", "processors", "adapters")
        for file in (ROOT / folder).rglob("*.py")
        if re.search(r"^\s*from rich\.(table|columns) |[^m]Console\(", file.read_text(), re.MULTILINE)
    }
    assert found == {"serving/terminal.py"}
