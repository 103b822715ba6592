"""A new Parquet file of a batch view: durable, and never in the place of another."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def write_parquet(path: Path, table: pa.Table) -> None:
    """Writes `path`, which is on the disk when this returns. Raises `FileExistsError`."""
    with path.open("xb") as file:
        pq.write_table(
            table, file, compression="zstd", use_dictionary=[f.name for f in table.schema if f.type == pa.string()]
        )
        file.flush()
        os.fsync(file.fileno())
