"""Sums of cells and of users' events in columns: what chunks add, added up. The monoid of `core.cells`, vectorised.

Cells are (minute, dimension, value, measures), users (minute, value, events): how many accepted
events each user has in a minute, so that a duplicate can be taken back.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.cells import LARGEST, CellKey, CellOverflowError
from core.declaration.pipeline import ALL, Pipeline

EVENTS: Final = "events"
USER_SUMS: Final = pa.schema([("minute", pa.int32()), ("value", pa.string()), (EVENTS, pa.int64())])


class Sums:
    """Adds up cells of one pipeline.

    Attributes:
        dimensions: A dimension is its place in here: the order of cells in files.
        cell_schema: Of sums of cells.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self.dimensions = sorted(pipeline.dimension_names)
        self._measures = list(pipeline.measures)
        self.cell_schema = pa.schema(
            [("minute", pa.int32()), ("dimension", pa.int8()), ("value", pa.string())]
            + [(measure, pa.int64()) for measure in self._measures]
        )

    def cell_sums(self, rows: pa.Table, sign: int = 1) -> pa.Table:
        """What typed rows (`batch.typed`) add to cells, or with `sign` -1 take from them, by `cell_schema`.

        A cell has a row, or several where 64 bits might not hold the sum. Raises `CellOverflowError` where the
        smallest number that they hold is to be taken back.
        """
        farthest = {measure: _farthest(rows[measure]) for measure in self._measures}
        if sign < 0 and (measure := next((each for each, far in farthest.items() if far > LARGEST), None)):
            raise CellOverflowError.at(CellKey(rows["minute"][0].as_py(), ALL, ""), measure)
        if len(rows) > 1 and len(rows) * max(farthest.values()) > LARGEST:
            middle = len(rows) // 2
            return pa.concat_tables(
                [self.cell_sums(half, sign) for half in (rows.slice(0, middle), rows.slice(middle))]
            )
        parts = []
        aggregates = [(measure, "sum") for measure in self._measures]
        for code, dimension in enumerate(self.dimensions):
            keys = ["minute"] if dimension == ALL else ["minute", dimension]
            sums = rows.group_by(keys, use_threads=False).aggregate(aggregates)
            if dimension != ALL and sums[dimension].null_count:
                # events that have no value of it
                sums = sums.filter(pc.is_valid(sums[dimension]))
            values = pa.array([""] * len(sums), pa.string()) if dimension == ALL else sums[dimension]
            dimensions = pa.array(np.full(len(sums), code, np.int8))
            numbers = [pc.multiply(sums[f"{measure}_sum"], sign) for measure in self._measures]
            parts.append(pa.table([sums["minute"], dimensions, values, *numbers], self.cell_schema))
        return pa.concat_tables(parts)

    def add_up(self, table: pa.Table) -> pa.Table:
        """One row for each key, sorted by it, numbers summed; rows whose numbers are all 0 are left out.

        Of cells or of users. Raises `CellOverflowError` where 64 bits do not hold a sum.
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
            keys = keys * len(self.dimensions) + table["dimension"].to_numpy()
        keys = keys * len(order) + ranks[coded.indices.to_numpy()]
        sorting = np.argsort(keys, kind="stable")
        keys = keys[sorting]
        starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        names = [name for name in table.column_names if name not in {"minute", "dimension", "value"}]
        sums = [_sums_of_runs(table[name].to_numpy()[sorting], starts) for name in names]
        for name, column in zip(names, sums, strict=True):
            if column.dtype == object:
                self._check(name, column, table.take(pa.array(sorting[starts])))
        numbers = [column.astype(np.int64, copy=False) for column in sums]
        kept = np.logical_or.reduce([column != 0 for column in numbers])
        rest, value = np.divmod(keys[starts][kept], len(order))
        columns = [coded.dictionary.take(pa.array(order[value])), *(pa.array(column[kept]) for column in numbers)]
        if with_dimension:
            rest, dimension = np.divmod(rest, len(self.dimensions))
            columns.insert(0, pa.array(dimension.astype(np.int8)))
        return pa.table([pa.array(rest.astype(np.int32)), *columns], table.schema)

    def _check(self, measure: str, sums: np.ndarray, keys: pa.Table) -> None:
        """Raises `CellOverflowError` for the first sum that is too large; `keys` has a row for each."""
        for row, number in enumerate(sums):
            if not -LARGEST <= number <= LARGEST:
                found = keys.slice(row, 1).to_pylist()[0]
                dimension = self.dimensions[found["dimension"]] if "dimension" in found else "user"
                raise CellOverflowError.at(CellKey(found["minute"], dimension, found["value"]), measure)


def user_sums(rows: pa.Table, sign: int = 1) -> pa.Table:
    """How many events each user has in each minute of typed rows, times `sign`; a `USER_SUMS`."""
    counts = rows.group_by(["minute", "user"], use_threads=False).aggregate([([], "count_all")])
    if counts["user"].null_count:
        counts = counts.filter(pc.is_valid(counts["user"]))
    return pa.table([counts["minute"], counts["user"], pc.multiply(counts["count_all"], sign)], USER_SUMS)


def _farthest(numbers: pa.ChunkedArray) -> int:
    """The largest distance from 0."""
    ends = pc.min_max(numbers).as_py()
    return max(ends["max"] or 0, -(ends["min"] or 0))


def _sums_of_runs(numbers: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The sum from each start to the next one; of Python's integers where 64 bits might not hold one."""
    longest = int(np.diff(starts, append=len(numbers)).max())
    if longest * max(int(numbers.max()), -int(numbers.min())) <= LARGEST:
        return np.add.reduceat(numbers, starts)
    return np.add.reduceat(numbers.astype(object), starts)
