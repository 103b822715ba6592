"""The cells of the current version in one Parquet file under a name that stays, for readers who know nothing of versions.

Notebooks and other programs open `current.parquet`, which is replaced as a whole, and have the cells of one version; a
pattern over the files in `data/` would give them those of all versions at once.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from adapters.durable import sync
from adapters.lake.columns import Column, dimension_column, measure_columns, schema_of, value_column
from adapters.lake.day_cells import cells_schema
from adapters.lake.manifest import Manifest
from adapters.lake.parquet import table_of
from adapters.lake.trouble import LIBRARY_ERRORS, DamagedViewError
from core.cells import MINUTE_MS
from core.declaration.pipeline import Pipeline

NAME: Final = "current.parquet"
_TIME: Final = Column("time", pa.timestamp("ms", tz="UTC"), "beginning of a minute of event time", "UTC")
_TEXTS: Final = ["dimension", "value"]


def schema_of_current(pipeline: Pipeline) -> pa.Schema:
    """Its columns. `version` in its metadata is the number of the version, `covers_below_epoch` the epoch of its cut."""
    return schema_of(_TIME, dimension_column(pipeline), value_column(pipeline), *measure_columns(pipeline))


def version_of(folder: Path) -> int:
    """The number of the version that the file in `folder` holds; 0 for none that can be read."""
    try:
        return int((pq.ParquetFile(folder / NAME).schema_arrow.metadata or {})[b"version"])
    except (*LIBRARY_ERRORS, KeyError, ValueError):
        return 0


def replace(folder: Path, data: Path, manifest: Manifest, pipeline: Pipeline) -> None:
    """Writes the cells of a version, whose files are in `data`, in place of those before, in one step.

    A day is in memory at a time. Raises `DamagedViewError`, and `OSError` where it cannot be written.
    """
    about = {"version": str(manifest.version), "covers_below_epoch": str(manifest.cut.epoch)}
    schema = schema_of_current(pipeline)
    schema = schema.with_metadata({**(schema.metadata or {}), **about})
    cells = cells_schema(pipeline)
    temporary = folder / f"{NAME}.{os.getpid()}.new"
    try:
        with pq.ParquetWriter(
            temporary, schema, compression="zstd", use_dictionary=_TEXTS, write_statistics=["time"]
        ) as writer:
            for _, name in sorted(manifest.cells.items()):
                writer.write_table(_for_readers(table_of(data / name, cells, DamagedViewError), schema))
        sync(temporary)
        temporary.replace(folder / NAME)
    finally:
        temporary.unlink(missing_ok=True)
    sync(folder)


def _for_readers(cells: pa.Table, schema: pa.Schema) -> pa.Table:
    times = pc.multiply(cells["minute"].cast(pa.int64()), MINUTE_MS).cast(schema.field("time").type)
    return pa.table([times, *(cells[name] for name in schema.names[1:])], schema)
