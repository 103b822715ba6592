"""ELT: rows are loaded as they came, and transformed in the database, where they stay to be asked again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from adapters.lake.raw_table import SCANNED, SCHEMA, RawTable
from batch.spread import spread_over
from batch.sql import connect, make_events, open_raw
from core.cut import Cut
from core.declaration.pipeline import Pipeline
from core.position import PartitionKey
from core.rules import Rules


class LoadingTask(NamedTuple):
    """The rows of `source` with `start` <= offset < `end`, to `file`."""

    raw: Path
    source: PartitionKey
    start: int
    end: int
    topics: Sequence[str]
    file: Path


def load(tasks: Sequence[LoadingTask], rows: int, processes: int) -> None:
    """Loads raw rows into the tasks' files."""
    with ExitStack() as stack:
        list(spread_over(processes, rows, stack)(load_partition, tasks))


def load_partition(task: LoadingTask) -> None:
    """One of them."""
    with pq.ParquetWriter(task.file, SCHEMA, compression="zstd") as writer:
        for chunk in RawTable(task.raw, task.topics).scan(task.source, task.start, task.end):
            places = ([task.source.topic] * len(chunk), [task.source.partition] * len(chunk))
            columns = [pa.array(place, field.type) for place, field in zip(places, SCHEMA, strict=False)]
            writer.write_table(pa.table([*columns, *(chunk[name] for name in SCANNED)], SCHEMA))


def transform(
    raw: Mapping[PartitionKey, Path],
    file: Path,
    cut: Cut,
    rules: Rules,
    pipeline: Pipeline,
    scratch: Path,
    threads: int,
) -> None:
    """Writes what each raw row counts for (`batch.events_sql`), rejected rows and duplicates too."""
    with connect(scratch, threads) as database:
        open_raw(database, {source: [str(path)] for source, path in raw.items()}, cut)
        make_events(database, pipeline, rules)
        database.table("events").write_parquet(str(file), compression="zstd")
