"""No version is published that covers less than the raw table holds below its cut, whatever the engine does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pytest

from adapters.lake.raw_table import RawTable
from batch import sql
from batch.cycle import Engine
from batch.duckdb_engine import DuckdbRecompute
from batch.recompute import Recompute
from core.cut import Cut
from core.errors import InexactError
from core.position import PartitionKey
from tests.support.batch_world import HALF, WHOLE, BatchWorld


@pytest.fixture
def world(tmp_path: Path) -> BatchWorld:
    return BatchWorld(tmp_path)


@pytest.mark.parametrize("engine", [Recompute, DuckdbRecompute])
def test_what_is_whole_is_published(world: BatchWorld, engine: Callable[..., Engine]) -> None:
    world.cut = HALF
    world.run(engine)
    world.cut = WHOLE
    assert world.run(engine).version == world.views.pointer() == 2


def test_a_file_that_duckdb_does_not_read(world: BatchWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world.run(DuckdbRecompute)
    read = sql.read_parquet
    monkeypatch.setattr(sql, "read_parquet", lambda database, paths, **more: read(database, paths[1:], **more))
    with pytest.raises(InexactError, match=r"version 2 covers \d+ of \d+ raw rows of \w+:\d below offset \d+ .*--full"):
        world.run(DuckdbRecompute, full=True)
    assert world.views.pointer() == 1


def test_nothing_that_duckdb_reads(world: BatchWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RawTable, "files", lambda _: {})
    with pytest.raises(InexactError, match=r"version 1 covers 0 of \d+ raw rows of clicks:0"):
        world.run(DuckdbRecompute)
    assert world.views.pointer() == 0


@pytest.mark.parametrize("full", [True, False])
def test_a_batch_of_rows_that_pandas_does_not_read(
    world: BatchWorld, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    world.cut = HALF
    world.run(Recompute)
    world.cut = WHOLE
    scan = RawTable.scan

    def torn(self: RawTable, source: PartitionKey, start: int, end: int) -> Iterator[pa.RecordBatch]:
        return islice(scan(self, source, start, end), 1, None)

    monkeypatch.setattr(RawTable, "scan", torn)
    with pytest.raises(InexactError, match=r"version 2 covers \d+ of \d+ raw rows of clicks:0"):
        world.run(Recompute, full=full)
    assert world.views.pointer() == 1


def test_a_base_that_covers_too_little_is_not_built_upon(world: BatchWorld) -> None:
    """As an earlier release may have published it."""
    world.cut = HALF
    base = world.run(Recompute)
    states = {
        source: state._replace(gaps=HALF.vector[source] - state.first) for source, state in base.partitions.items()
    }
    world.views.publish(replace(base, version=2, partitions=states, counters={}, cells={}, users={}, ids=()))
    world.cut = WHOLE
    with pytest.raises(InexactError, match=r"version 3 covers .*`fourfold recompute --full`"):
        world.run(Recompute)
    assert world.run(Recompute, full=True).version == world.views.pointer() == 3


@pytest.mark.parametrize("engine", [Recompute, DuckdbRecompute])
def test_what_is_lost_between_rows_and_files(world: BatchWorld, engine: Callable[..., Engine]) -> None:
    manifest = world.run(engine)
    (day, _), *_ = manifest.cells.items()
    broken = {
        r"ids are kept, of [\d,]+ accepted": replace(manifest, ids=manifest.ids[1:]),
        r"events are in the cells of all, of": replace(
            manifest, cells={date: name for date, name in manifest.cells.items() if date != day}
        ),
        r"records are counted, of [\d,]+ raw rows": replace(
            manifest, counters={**manifest.counters, "duplicates": manifest.counters["duplicates"] - 1}
        ),
    }
    for message, version in broken.items():
        with pytest.raises(InexactError, match=message):
            world.complete(version)
    world.complete(manifest)


def test_rows_that_are_there_twice(world: BatchWorld) -> None:
    """Two archivers without a fence would leave them so; the engines count what they read."""
    source = min(WHOLE.vector)
    rows = next(world.raw.scan(source, 0, WHOLE.vector[source]))
    labels = [pa.array([value] * len(rows)) for value in source]
    names = ["topic", "partition", *rows.schema.names]
    twice = pa.table([*labels, *rows.columns], names).set_column(
        1, "partition", pa.array([source.partition] * len(rows), pa.int32())
    )
    world.raw.append(twice, {})
    with pytest.raises(InexactError, match=r"rows of clicks:0 from offset 0 up to \d+: some are there twice"):
        world.run(Recompute)
    assert world.views.pointer() == 0


def test_an_archived_partition_that_the_cut_leaves_out(world: BatchWorld) -> None:
    source = max(WHOLE.vector)
    world.cut = Cut(WHOLE.epoch, {known: end for known, end in WHOLE.vector.items() if known != source})
    with pytest.raises(InexactError, match=f"leaves {source} out, which is archived"):
        world.run(Recompute)
    assert world.views.pointer() == 0
