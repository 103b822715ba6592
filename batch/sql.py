"""The SQL of the batch layer, and the database that runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files as resources
from itertools import chain
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from adapters.lake.raw_table import SCANNED, SCHEMA
from batch.events_sql import counts_sql, events_sql
from batch.expression_sql import quoted
from core.cells import CellKey, CellOverflowError
from core.cut import Cut
from core.declaration.pipeline import Pipeline
from core.errors import FourfoldError
from core.position import PartitionKey
from core.rules import Rules

_FOLDER: Final = resources("batch")
#: Macros that SQL made of a declaration uses.
RULES: Final = _FOLDER.joinpath("rules.sql").read_text()
#: Which partition a file is of: its path tells nothing.
_PLACES: Final = pa.schema([("filename", pa.string()), ("topic", pa.string()), ("partition", pa.int32())])
_RAW_COLUMNS: Final = ", ".join(["places.topic", "places.partition", *(f'rows."{name}"' for name in SCANNED)])
_RAW: Final = f"CREATE TEMP VIEW raw AS SELECT {_RAW_COLUMNS} FROM rows JOIN places USING (filename)"  # noqa: S608
#: Above it DuckDB goes on on the disk.
_MEMORY: Final = "2GiB"


class SqlError(FourfoldError):
    """DuckDB gave up: no room, a file that it cannot read, a number that fits nowhere."""


@contextmanager
def connect(
    scratch: Path, threads: int, check_files: Callable[[], object] = lambda: None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A new database in memory; what it has no room for is put into `scratch`.

    Raises `SqlError` for what DuckDB says inside, unless `check_files` raises what is wrong with the files that it read.
    """
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": threads,
        "memory_limit": _MEMORY,
        "temp_directory": str(scratch),
        "autoload_known_extensions": False,
    }
    try:
        with duckdb.connect(config=config) as database:
            yield database
    except duckdb.Error as error:
        check_files()
        said = str(error).partition("\n")[0]
        raise SqlError(f"DuckDB cannot count the raw table: {said}; `--engine pandas` may") from error


def open_raw(database: duckdb.DuckDBPyConnection, files: Mapping[PartitionKey, Sequence[str]], cut: Cut) -> None:
    """Makes `raw` (of the Parquet files of raw rows of each partition) and `cut`."""
    places = [
        {"filename": path, "topic": source.topic, "partition": source.partition}
        for source, paths in files.items()
        for path in paths
    ]
    database.from_arrow(pa.Table.from_pylist(places, _PLACES)).create("places")
    paths = list(chain.from_iterable(files.values()))
    rows = read_parquet(database, paths, filename=True) if paths else _no_rows(database)
    rows.create_view("rows")
    database.execute(_RAW)
    topics, partitions = [s.topic for s in cut.vector], [s.partition for s in cut.vector]
    ends = list(cut.vector.values())
    columns = [pa.array(topics, pa.string()), pa.array(partitions, pa.int32()), pa.array(ends, pa.int64())]
    database.from_arrow(pa.table(columns, ["topic", "partition", "next"])).create("cut")


def read_parquet(
    database: duckdb.DuckDBPyConnection, paths: Sequence[str], *, filename: bool = False
) -> duckdb.DuckDBPyRelation:
    """What is in files, and nothing that a folder's name says; with `filename` the path of each row."""
    return database.read_parquet(list(paths), hive_partitioning=False, filename=filename)


def make_events(database: duckdb.DuckDBPyConnection, pipeline: Pipeline, rules: Rules) -> None:
    """Makes `events` of `raw` and `cut`: what each row counts for (`batch.events_sql`)."""
    define_macros(database)
    numbers = {"epoch_ms": rules.epoch_ms, "lateness_ms": rules.lateness_ms}
    database.execute(events_sql(pipeline), numbers)


def define_macros(database: duckdb.DuckDBPyConnection) -> None:
    """Makes the macros of `RULES`."""
    database.execute(RULES)


def count_cells(database: duckdb.DuckDBPyConnection, pipeline: Pipeline) -> None:
    """Makes `cells` and `users` of `events`. Raises `CellOverflowError`."""
    database.execute(counts_sql(pipeline))
    overflown = " OR ".join(f"{quoted(measure)} IS NULL" for measure in pipeline.measures)
    for found in database.sql(f"SELECT * FROM cells WHERE {overflown} ORDER BY ALL LIMIT 1").fetchall():  # noqa: S608
        measure = next(name for name, number in zip(pipeline.measures, found[3:], strict=True) if number is None)
        raise CellOverflowError.at(CellKey(*found[:3]), measure)


def _no_rows(database: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyRelation:
    return database.from_arrow(SCHEMA.append(_PLACES.field("filename")).empty_table())
