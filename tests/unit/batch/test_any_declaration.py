"""Whatever is declared: judge, kernel, ETL and ELT agree on each record, verdict and cell."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.lake.manifest import Manifest
from batch.duckdb_engine import DuckdbRecompute
from batch.recompute import Recompute
from batch.sql import connect, make_events
from core.cells import CellOverflowError, merge
from core.declaration.pipeline import Pipeline
from core.delta import Delta
from core.kernel.judge import Judge
from core.kernel.kernel import Kernel
from core.partition import PartitionFold
from core.position import Position
from core.rules import Rules
from core.verdict import Rejected
from tests.support.declarations import declaration, records
from tests.support.events import NOW_MS
from tests.support.raw_log import Log, archive, last_cut

RULES = Rules()
ALL_IDS = Rules(horizon=10_000)
COUNT = 300
SHORT, LONG = range(8), range(8, 400)

Place = tuple[str, int, int]


class _Record(NamedTuple):
    """A record as the fold takes it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def by_judge(pipeline: Pipeline, log: Log) -> dict[Place, str | None]:
    """Place of a record to the reason of its rejection, by the meaning of the declaration."""
    judges = {name: Judge(pipeline, name) for name in pipeline.streams}
    found: dict[Place, str | None] = {}
    for row in log:
        found[*row.source, row.offset] = None
        try:
            judges[row.source.topic].judge(row.value, row.append_ms)
        except Rejected as rejected:
            found[*row.source, row.offset] = str(rejected.reason)
    return found


def by_kernel(pipeline: Pipeline, log: Log) -> dict[Place, str | None]:
    """The same by the kernel, in bulk."""
    kernel = Kernel(pipeline)
    found: dict[Place, str | None] = {}
    for source in {row.source for row in log}:
        rows = [row for row in log if row.source == source]
        decided = kernel[source.topic].decide.all([row.value for row in rows], [row.append_ms for row in rows])
        found |= {(*source, row.offset): None for row in rows}
        for rejection in decided.rejected:
            found[*source, rows[rejection.place].offset] = str(rejection.reason)
    return found


def by_sql(pipeline: Pipeline, log: Log, folder: Path) -> dict[Place, str | None]:
    """The same by the SQL that is made of the declaration."""
    raw = pa.table(
        {
            "topic": [row.source.topic for row in log],
            "partition": pa.array([row.source.partition for row in log], pa.int32()),
            "offset": pa.array([row.offset for row in log], pa.int64()),
            "append_ms": pa.array([row.append_ms for row in log], pa.int64()),
            "value": pa.array([row.value for row in log], pa.binary()),
        }
    )
    vector = last_cut(log, RULES).vector
    cut = pa.table(
        {
            "topic": [source.topic for source in vector],
            "partition": pa.array([source.partition for source in vector], pa.int32()),
            "next": pa.array(list(vector.values()), pa.int64()),
        }
    )
    with connect(folder, 1) as database:
        database.from_arrow(raw).create("raw")
        database.from_arrow(cut).create("cut")
        make_events(database, pipeline, RULES)
        rows = database.sql('SELECT topic, partition, "offset", reason FROM events').fetchall()
    return {(topic, partition, offset): reason for topic, partition, offset, reason in rows}


def folded(pipeline: Pipeline, log: Log) -> Delta:
    """What a speed view that remembers all ids counts of each partition."""
    kernel, delta = Kernel(pipeline), Delta()
    for source in {row.source for row in log}:
        rows = [_Record(row.offset, row.append_ms, row.key, row.value) for row in log if row.source == source]
        PartitionFold(source, Position(), ALL_IDS, kernel[source.topic]).fold(rows, rows[-1].offset + 1, delta)
    return delta


def content(manifest: Manifest, folder: Path) -> dict[str, Any]:
    """All that a version counts."""

    def rows(names: Any) -> list[Any]:
        return sorted(tuple(row.values()) for name in names for row in pq.read_table(folder / name).to_pylist())

    return {
        "counters": dict(manifest.counters),
        "states": {source: tuple(state) for source, state in manifest.partitions.items()},
        "cells": rows(manifest.cells.values()),
        "users": rows(manifest.users.values()),
        "ids": rows(manifest.ids),
    }


@pytest.mark.parametrize("seed", [*SHORT, *(pytest.param(seed, marks=pytest.mark.soak) for seed in LONG)])
def test_all_engines_agree_on_each_record_and_cell(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    pipeline = declaration(random)
    log = records(random, pipeline, COUNT)
    judged = by_judge(pipeline, log)
    assert by_kernel(pipeline, log) == judged
    assert by_sql(pipeline, log, tmp_path) == judged

    raw, cut = archive(tmp_path / "raw", log, topics=pipeline.topics), last_cut(log, RULES)
    found = []
    for engine in (Recompute, DuckdbRecompute):
        folder = tmp_path / engine.__name__
        folder.mkdir()
        recompute = engine(raw, folder, RULES, 1, pipeline)
        try:
            manifest = recompute.run(cut, None, version=1, created_ms=NOW_MS, full=True)
        except CellOverflowError:
            found.append(None)
        else:
            found.append(content(manifest, folder))
    etl, elt = found
    assert etl == elt
    if etl is None:
        return
    counters = Counter(etl["counters"])
    delta = folded(pipeline, log)
    if sum(quality["duplicates"] for quality in delta.quality.values()) == counters["duplicates"]:
        # where none is in another partition, which a speed view does not see
        cells = merge(*delta.cells().values())
        assert sorted((*key, *cell) for key, cell in cells.items() if any(cell)) == etl["cells"]
    assert counters["accepted"] + counters["duplicates"] == list(judged.values()).count(None)
    for reason, number in Counter(judged.values()).items():
        assert reason is None or counters[f"rejected:{reason}"] == number
