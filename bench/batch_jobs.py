"""The steps of the batch layer as its cycle does them, one in a process: `bench.batch_job`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from batch.archive import Archive
from batch.completeness import Completeness
from batch.cycle import Engine
from batch.duckdb_engine import DuckdbRecompute
from batch.recompute import Recompute
from bench.child import settings_of_child
from bench.cut_file import read_cut
from bench.lap import Lap
from core.cut import Cut
from modes.pipelines import pipeline_of
from modes.settings import Settings
from modes.wiring.lake import raw_table, view_store


def archive(settings: Settings, cut: Cut) -> Mapping[str, int]:
    """The log up to the cut, into the raw table."""
    report = Archive(settings.access, raw_table(settings)).run(cut.vector)
    return {"archived": report.records}


def full(settings: Settings, cut: Cut) -> Mapping[str, int]:
    """All raw rows below the cut, with pandas."""
    views = view_store(settings)
    engine = Recompute(raw_table(settings), views.data, settings.rules, settings.batch_processes, pipeline_of(settings))
    return _published(settings, engine, cut, full=True)


def incremental(settings: Settings, cut: Cut) -> Mapping[str, int]:
    """What is new since the version that is current."""
    views = view_store(settings)
    engine = Recompute(raw_table(settings), views.data, settings.rules, settings.batch_processes, pipeline_of(settings))
    return _published(settings, engine, cut, full=False)


def duckdb(settings: Settings, cut: Cut) -> Mapping[str, int]:
    """All raw rows below the cut, in SQL."""
    views = view_store(settings)
    engine = DuckdbRecompute(
        raw_table(settings), views.data, settings.rules, settings.batch_processes, pipeline_of(settings)
    )
    return _published(settings, engine, cut, full=True)


JOBS: Final[dict[str, Callable[[Settings, Cut], Mapping[str, int]]]] = {
    job.__name__: job for job in (archive, full, incremental, duckdb)
}


def _published(settings: Settings, engine: Engine, cut: Cut, *, full: bool) -> Mapping[str, int]:
    views = view_store(settings)
    views.make()
    manifest = engine.run(
        cut, views.current(), version=views.next_number(), created_ms=int(time.time() * 1000), full=full
    )
    Completeness(raw_table(settings), views.data, pipeline_of(settings))(manifest)
    views.publish(manifest)
    return manifest.counters


def run(name: str, cut_file: Path, lap_file: Path) -> None:
    """Does one job."""
    settings, cut = settings_of_child(), read_cut(cut_file)
    Lap.of(lambda: JOBS[name](settings, cut)).write(lap_file)
