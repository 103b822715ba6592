"""No version is published that covers less than the raw table holds below its cut, whatever the engine does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from adapters.lake.manifest import Manifest
from adapters.lake.raw_table import RawTable
from adapters.lake.views import ViewStore
from batch import sql
from batch.archive import ArchiveReport
from batch.completeness import Completeness
from batch.cycle import Cycle, Engine
from batch.duckdb_engine import DuckdbRecompute
from batch.recompute import Recompute
from core.cut import Cut
from core.errors import InexactError
from core.position import PartitionKey
from core.rules import Rules
from tests.support.events import NOW_MS
from tests.support.raw_log import archive, cut_at, last_cut, shop_log

RULES = Rules()
#: across midnight, with gaps, duplicates and all kinds of dirt
LOG = shop_log(7, 600, start_ms=NOW_MS + 86_400_000 - 30_000)
HALF, WHOLE = cut_at(LOG, RULES.epoch_of(NOW_MS + 86_400_000), RULES), last_cut(LOG, RULES)


class _Archived:
    """Everything is archived already."""

    def run(self, vector: Any) -> ArchiveReport:
        return ArchiveReport(0, 0, vector)


class World:
    """Cycles over one raw table, with either engine."""

    def __init__(self, path: Path) -> None:
        self.raw = archive(path / "raw", LOG, 8)
        self.views = ViewStore(path / "views")
        self.views.make()
        self.complete = Completeness(self.raw, self.views.data)
        self.cut = WHOLE

    def run(self, engine: Callable[..., Engine], *, full: bool = False) -> Manifest:
        """Publishes a version at `cut`."""
        cycle = Cycle(
            lambda: self.cut,
            _Archived(),  # type: ignore[arg-type]
            engine(self.raw, self.views.data, RULES, 1),
            self.views,
            lambda _: ({}, []),
            None,
            complete=self.complete,
        )
        version = cycle.run(full=full).version
        assert version is not None
        return version


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("engine", [Recompute, DuckdbRecompute])
def test_what_is_whole_is_published(world: World, engine: Callable[..., Engine]) -> None:
    world.cut = HALF
    world.run(engine)
    world.cut = WHOLE
    assert world.run(engine).version == world.views.pointer() == 2


def test_a_file_that_duckdb_does_not_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.run(DuckdbRecompute)
    read = sql.read_parquet
    monkeypatch.setattr(sql, "read_parquet", lambda database, paths, **more: read(database, paths[1:], **more))
    with pytest.raises(InexactError, match=r"version 2 covers \d+ of \d+ raw rows of \w+:\d below offset \d+ .*--full"):
        world.run(DuckdbRecompute, full=True)
    assert world.views.pointer() == 1


def test_nothing_that_duckdb_reads(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RawTable, "files", lambda _: {})
    with pytest.raises(InexactError, match=r"version 1 covers 0 of \d+ raw rows of clicks:0"):
        world.run(DuckdbRecompute)
    assert world.views.pointer() == 0


@pytest.mark.parametrize("full", [True, False])
def test_a_batch_of_rows_that_pandas_does_not_read(world: World, monkeypatch: pytest.MonkeyPatch, full: bool) -> None:
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


def test_a_base_that_covers_too_little_is_not_built_upon(world: World) -> None:
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
def test_what_is_lost_between_rows_and_files(world: World, engine: Callable[..., Engine]) -> None:
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


def test_rows_that_are_there_twice(world: World) -> None:
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


def test_an_archived_partition_that_the_cut_leaves_out(world: World) -> None:
    source = max(WHOLE.vector)
    world.cut = Cut(WHOLE.epoch, {known: end for known, end in WHOLE.vector.items() if known != source})
    with pytest.raises(InexactError, match=f"leaves {source} out, which is archived"):
        world.run(Recompute)
    assert world.views.pointer() == 0
