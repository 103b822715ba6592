"""Reading one Parquet file of ours, which is whole or named as damaged."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from adapters.lake.trouble import DamagedFileError, reading


def table_of(path: Path, schema: pa.Schema, damaged: type[DamagedFileError]) -> pa.Table:
    """The columns of `schema`. Raises `damaged`.

    Not by `pyarrow.parquet.read_table`: that takes the names of folders for columns, and a folder for an empty file.
    """
    with reading(path, damaged):
        table = pq.ParquetFile(path).read(columns=schema.names)
    try:
        return table.cast(schema)
    except (ValueError, pa.ArrowException) as error:
        raise damaged.of(path, "it has other columns") from error


def rows_of(path: Path, damaged: type[DamagedFileError]) -> int:
    """How many rows it says that it has. Raises `damaged`."""
    with reading(path, damaged):
        return int(pq.ParquetFile(path).metadata.num_rows)
