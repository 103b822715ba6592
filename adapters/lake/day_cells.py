"""The cells of one date in memory: columns sorted by minute, for sums over any stretch of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from adapters.lake.columns import Column, dimension_column, measure_columns, schema_of, value_column
from adapters.lake.parquet import table_of
from adapters.lake.trouble import DamagedViewError
from core.cells import LARGEST, Cell, CellKey, Cells
from core.declaration.pipeline import Pipeline

Ints = npt.NDArray[np.int64]

MINUTE: Final = Column("minute", pa.int32(), "minute of event time", "minutes since 1970-01-01 00:00 UTC")

#: The distinct users of each minute, sorted by both.
USERS: Final = schema_of(
    MINUTE, Column("user", pa.string(), "a user with an accepted event in this minute; each once a minute")
)


def cells_schema(pipeline: Pipeline) -> pa.Schema:
    """Of a file of cells."""
    return schema_of(MINUTE, dimension_column(pipeline), value_column(pipeline), *measure_columns(pipeline))


class DayCells:
    """Read once, never changed."""

    def __init__(self, path: Path, pipeline: Pipeline) -> None:
        """`path`: a file of `cells_schema`, sorted by minute. Raises `DamagedViewError`."""
        names = list(pipeline.measures)
        table = table_of(path, cells_schema(pipeline), DamagedViewError)
        self._minutes: Ints = table["minute"].to_numpy().astype(np.int64)
        self._numbers: Ints = np.column_stack([table[name].to_numpy() for name in names]).reshape(-1, len(names))
        self._largest = max(int(self._numbers.max(initial=0)), -int(self._numbers.min(initial=0)))
        keys = pa.compute.binary_join_element_wise(table["dimension"], table["value"], "\0").combine_chunks()
        encoded = keys.dictionary_encode()
        self._codes: Ints = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        self._keys = [_key(text) for text in encoded.dictionary.to_pylist()]
        self._code_of = {key: code for code, key in enumerate(self._keys)}
        self.totals = self.between(-(2**31), 2**31)

    def between(self, start: int, end: int) -> dict[tuple[str, str], Cell]:
        """Sums by (dimension, value) over minutes `start` (included) to `end` (left out)."""
        rows = self._rows(start, end)
        # of Python's integers where 64 bits might not hold a sum over minutes
        fits = (rows.stop - rows.start) * self._largest <= LARGEST
        sums = np.zeros((len(self._keys), self._numbers.shape[1]), np.int64 if fits else object)
        np.add.at(sums, self._codes[rows], self._numbers[rows])
        return {key: Cell(numbers) for key, numbers in zip(self._keys, sums.tolist(), strict=True) if any(numbers)}

    def series(self, key: tuple[str, str], start: int, end: int) -> dict[int, Cell]:
        """Minute to cell of one (dimension, value)."""
        code = self._code_of.get(key)
        if code is None:
            return {}
        rows = self._rows(start, end)
        found = self._codes[rows] == code
        return {
            minute: Cell(numbers)
            for minute, numbers in zip(
                self._minutes[rows][found].tolist(), self._numbers[rows][found].tolist(), strict=True
            )
        }

    def cells(self) -> Cells:
        """All of them."""
        return {
            CellKey(minute, *self._keys[code]): Cell(numbers)
            for minute, code, numbers in zip(
                self._minutes.tolist(), self._codes.tolist(), self._numbers.tolist(), strict=True
            )
        }

    def _rows(self, start: int, end: int) -> slice:
        low, high = np.searchsorted(self._minutes, [start, end])
        return slice(int(low), int(high))


def add_up(parts: Mapping[str, DayCells]) -> dict[tuple[str, str], Cell]:
    """Totals over dates, by (dimension, value)."""
    out: dict[tuple[str, str], Cell] = {}
    for part in parts.values():
        for key, cell in part.totals.items():
            old = out.get(key)
            out[key] = cell if old is None else old.plus(cell)
    return out


def _key(text: str) -> tuple[str, str]:
    dimension, _, value = text.partition("\0")
    return dimension, value
