"""SQL made of a declaration against the kernel, record by record, with all kinds of fields, measures and dimensions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from batch.sql import connect, count_cells, make_events
from core.declaration.pipeline import Pipeline
from core.kernel.kernel import StreamKernel
from core.rules import Rules
from tests.support.edits import EDITS, edits

COUNT = 6_000


def judged(pipeline: Pipeline, records: list[tuple[bytes | None, int]], folder: Path) -> tuple[pa.Table, pa.Table]:
    """The tables `events` and `cells` that SQL makes of the records of the only stream."""
    (stream,) = pipeline.streams
    count = len(records)
    raw = pa.table(
        {
            "topic": [stream] * count,
            "partition": pa.array([0] * count, pa.int32()),
            "offset": pa.array(range(count), pa.int64()),
            "append_ms": pa.array([append_ms for _, append_ms in records], pa.int64()),
            "value": pa.array([value for value, _ in records], pa.binary()),
        }
    )
    cut = pa.table({"topic": [stream], "partition": pa.array([0], pa.int32()), "next": pa.array([count], pa.int64())})
    with connect(folder, 2) as database:
        database.from_arrow(raw).create("raw")
        database.from_arrow(cut).create("cut")
        make_events(database, pipeline, Rules())
        count_cells(database, pipeline)
        events = database.sql('SELECT * FROM events ORDER BY "offset"').to_arrow_table()
        return events, database.table("cells").to_arrow_table()


@pytest.mark.parametrize("seed", [5, 6])
def test_sql_and_kernel_agree_on_each_record_and_cell(tmp_path: Path, seed: int) -> None:
    records = edits(COUNT, seed)
    events, cells = judged(EDITS, records, tmp_path)
    kernel = StreamKernel(EDITS, "edits")
    decided = kernel.decide.all([value for value, _ in records], [at for _, at in records])
    reasons = {rejection.place: rejection.reason for rejection in decided.rejected}
    found = {row["offset"]: row["reason"] for row in events.to_pylist() if row["reason"] is not None}
    assert found == reasons
    assert {"small", "no_loss", "missing_field", "bad_format", "out_of_range"} <= set(reasons.values())

    accepted = [row for row in events.to_pylist() if row["reason"] is None]
    columns = kernel.columns.of(decided.events)
    columns["user"] = columns.pop("robots")
    for name, values in columns.items():
        assert [row[name] for row in accepted] == values, name
    assert [row["minute"] for row in accepted] == [time_ms // 60_000 for time_ms in decided.times]

    tallies: dict[int, list[object]] = {}
    for row, event, time_ms in zip(accepted, decided.events, decided.times, strict=True):
        if row["counted"]:
            tallies.setdefault(time_ms // 60_000, []).append(event)
    sums: dict[tuple[int, str, str], tuple[int, ...]] = {}
    robots: Counter[str] = Counter()
    for minute, held in tallies.items():
        tally = kernel.aggregate.tally()
        tally.events.extend(held if kernel.aggregate.kept is None else map(kernel.aggregate.kept, held))
        kernel.aggregate.condense(tally)
        sums |= {
            (minute, dimension, value): tuple(numbers) for dimension, value, numbers in kernel.aggregate.cells(tally)
        }
        robots.update(tally.distinct[0])
    assert {tuple(row.values())[:3]: tuple(row.values())[3:] for row in cells.to_pylist()} == sums
    assert robots == Counter(row["user"] for row in accepted if row["counted"] and row["user"] is not None)
    assert {dimension for _, dimension, _ in sums} == {"all", *EDITS.dimensions}
