"""Sums of cells and of users' events in columns: what chunks add, added up. The monoid of `core.cells`, vectorised.

Cells are (minute, dimension, value, measures), users (minute, value, events): how many accepted
events each user has in a minute, so that a duplicate can be taken back.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.cells import DIMENSIONS, LARGEST, MEASURES, CellKey, CellOverflowError

#: A dimension is its place in here: the order of cells in files.
DIMENSION_CODES: Final = sorted(DIMENSIONS)
EVENTS: Final = "events"
CELL_SUMS: Final = pa.schema(
    [("minute", pa.int32()), ("dimension", pa.int8()), ("value", pa.string())]
    + [(measure, pa.int64()) for measure in MEASURES]
)
USER_SUMS: Final = pa.schema([("minute", pa.int32()), ("value", pa.string()), (EVENTS, pa.int64())])


def cell_sums(rows: pa.Table, sign: int = 1) -> pa.Table:
    """What typed rows (`batch.typed`) add to cells, or with `sign` -1 take from them; a `CELL_SUMS`.

    A cell has a row, or several where 64 bits might not hold the sum.
    """
    if len(rows) * max(pc.max(rows[measure]).as_py() or 0 for measure in MEASURES) > LARGEST:
        middle = len(rows) // 2
        return pa.concat_tables([cell_sums(half, sign) for half in (rows.slice(0, middle), rows.slice(middle))])
    parts = []
    aggregates = [(measure, "sum") for measure in MEASURES]
    for code, dimension in enumerate(DIMENSION_CODES):
        keys = ["minute"] if dimension == "all" else ["minute", dimension]
        sums = rows.group_by(keys, use_threads=False).aggregate(aggregates)
        values = pa.array([""] * len(sums), pa.string()) if dimension == "all" else sums[dimension]
        dimensions = pa.array(np.full(len(sums), code, np.int8))
        numbers = [pc.multiply(sums[f"{measure}_sum"], sign) for measure in MEASURES]
        parts.append(pa.table([sums["minute"], dimensions, values, *numbers], CELL_SUMS))
    return pa.concat_tables(parts)


def user_sums(rows: pa.Table, sign: int = 1) -> pa.Table:
    """How many events each user has in each minute of typed rows, times `sign`; a `USER_SUMS`."""
    counts = rows.group_by(["minute", "user"], use_threads=False).aggregate([([], "count_all")])
    return pa.table([counts["minute"], counts["user"], pc.multiply(counts["count_all"], sign)], USER_SUMS)


def add_up(table: pa.Table) -> pa.Table:
    """One row for each key, sorted by it, numbers summed; rows whose numbers are all 0 are left out.

    Raises `CellOverflowError` where 64 bits do not hold a sum.
    """
    if not len(table):
        return table
    # sorting strings costs ten times as much as sorting numbers that stand for them
    coded = table["value"].combine_chunks().dictionary_encode()
    order = pc.sort_indices(coded.dictionary).to_numpy()
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    keys = table["minute"].to_numpy().astype(np.int64)
    with_dimension = "dimension" in table.column_names
    if with_dimension:
        keys = keys * len(DIMENSION_CODES) + table["dimension"].to_numpy()
    keys = keys * len(order) + ranks[coded.indices.to_numpy()]
    sorting = np.argsort(keys, kind="stable")
    keys = keys[sorting]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    names = [name for name in table.column_names if name not in {"minute", "dimension", "value"}]
    sums = [_sums_of_runs(table[name].to_numpy()[sorting], starts) for name in names]
    for name, column in zip(names, sums, strict=True):
        if column.dtype == object:
            _check(name, column, table.take(pa.array(sorting[starts])))
    numbers = [column.astype(np.int64, copy=False) for column in sums]
    kept = np.logical_or.reduce([column != 0 for column in numbers])
    rest, value = np.divmod(keys[starts][kept], len(order))
    columns = [coded.dictionary.take(pa.array(order[value])), *(pa.array(column[kept]) for column in numbers)]
    if with_dimension:
        rest, dimension = np.divmod(rest, len(DIMENSION_CODES))
        columns.insert(0, pa.array(dimension.astype(np.int8)))
    return pa.table([pa.array(rest.astype(np.int32)), *columns], table.schema)


def _sums_of_runs(numbers: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The sum from each start to the next one; of Python's integers where 64 bits might not hold one."""
    longest = int(np.diff(starts, append=len(numbers)).max())
    if longest * max(int(numbers.max()), -int(numbers.min())) <= LARGEST:
        return np.add.reduceat(numbers, starts)
    return np.add.reduceat(numbers.astype(object), starts)


def _check(measure: str, sums: np.ndarray, keys: pa.Table) -> None:
    """Raises `CellOverflowError` for the first sum that is too large; `keys` has a row for each."""
    for row, number in enumerate(sums):
        if not -LARGEST <= number <= LARGEST:
            found = keys.slice(row, 1).to_pylist()[0]
            dimension = DIMENSION_CODES[found["dimension"]] if "dimension" in found else "user"
            raise CellOverflowError.at(CellKey(found["minute"], dimension, found["value"]), measure)
