"""The files of one day: its cells and its users, sums of parts and of what the version before says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from adapters.lake.day_cells import USERS, cells_schema
from adapters.lake.parquet import table_of
from adapters.lake.trouble import DamagedViewError
from batch.parquet_file import write_parquet
from batch.spill import DayPart
from batch.sums import USER_SUMS, Sums
from core.declaration.pipeline import Pipeline

_FIRST_DAY: Final = datetime(1970, 1, 1, tzinfo=UTC)


class DayTask(NamedTuple):
    """What is added to a day (days since 1970); the files of the version before, or None.

    `run` makes names of new files in `folder` unique.
    """

    day: int
    cells: Sequence[DayPart]
    users: Sequence[DayPart]
    old_cells: Path | None
    old_users: Path | None
    folder: Path
    run: str
    pipeline: Pipeline


class DayResult(NamedTuple):
    """The names of the day's files; None where it has none."""

    date: str
    cells: str | None
    users: str | None


def date_of(day: int) -> str:
    """The date (ISO, UTC) of days since 1970."""
    return (_FIRST_DAY + timedelta(days=day)).date().isoformat()


def write_day(task: DayTask) -> DayResult:
    """Writes the files of a day, except where they would say what the old ones say."""
    date = date_of(task.day)
    return DayResult(
        date,
        _written(task, f"cells-{date}-{task.run}.parquet", _cells(task), task.old_cells),
        _written(task, f"users-{date}-{task.run}.parquet", _users(task), task.old_users),
    )


def _written(task: DayTask, name: str, table: pa.Table | None, old: Path | None) -> str | None:
    if table is None:
        return None if old is None else old.name
    write_parquet(task.folder / name, table)
    return name


def _cells(task: DayTask) -> pa.Table | None:
    """None where nothing is added."""
    adder = Sums(task.pipeline)
    schema, dimensions = cells_schema(task.pipeline), adder.dimensions
    sums = adder.add_up(pa.Table.from_batches([part.read() for part in task.cells], adder.cell_schema))
    if not len(sums):
        return None
    if task.old_cells is not None:
        old = table_of(task.old_cells, schema, DamagedViewError)
        codes = pc.index_in(old["dimension"], value_set=pa.array(dimensions)).cast(pa.int8())
        sums = adder.add_up(pa.concat_tables([sums, old.set_column(1, "dimension", codes)]))
    names = pa.DictionaryArray.from_arrays(sums["dimension"].combine_chunks(), dimensions).cast(pa.string())
    measures = (sums[measure] for measure in task.pipeline.measures)
    return pa.table([sums["minute"], names, sums["value"], *measures], schema)


def _users(task: DayTask) -> pa.Table | None:
    adder = Sums(task.pipeline)
    sums = adder.add_up(pa.Table.from_batches([part.read() for part in task.users], USER_SUMS))
    if not len(sums):
        return None
    if task.old_users is not None:
        old = table_of(task.old_users, USERS, DamagedViewError)
        ones = pa.array([1] * len(old), pa.int64())
        sums = adder.add_up(pa.concat_tables([sums, pa.table([*old.columns, ones], USER_SUMS)]))
    return pa.table([sums["minute"], sums["value"]], USERS)
