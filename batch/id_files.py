"""The files of the ids of all accepted events: written once for each bucket, sorted by hash, never changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from adapters.lake.columns import Column, schema_of
from adapters.lake.parquet import rows_of
from adapters.lake.trouble import DamagedViewError, reading
from batch.id_hash import Hashes

IDS: Final = schema_of(
    Column("hash", pa.uint64(), "a hash of the id, by which files are sorted"),
    Column("id", pa.string(), "the id of an accepted event"),
)
_GROUP_ROWS: Final = 1 << 18


def known_ids(files: Sequence[Path], hashes: Hashes) -> pa.Array:
    """The ids in `files` whose hash is one of `hashes`, which are sorted."""
    found = [pa.array([], pa.string())]
    if len(hashes):
        for file, group in _groups(files, int(hashes[0]), int(hashes[-1])):
            held = file.read_row_group(group, columns=["hash"])["hash"].to_numpy()
            starts, ends = (np.searchsorted(held, hashes, side) for side in ("left", "right"))
            counts = ends - starts
            if counts.any():
                # ids of one hash are neighbours: the ranges [start, end) one after the other
                places = np.repeat(ends - np.cumsum(counts), counts) + np.arange(counts.sum())
                ids = file.read_row_group(group, columns=["id"])["id"].combine_chunks()
                found.append(ids.take(pa.array(places)))
    return pa.concat_arrays(found)


def ids_between(files: Sequence[Path], low: int, high: int) -> pa.Table:
    """The rows (`IDS`) with `low` <= hash <= `high`."""
    parts = [IDS.empty_table()]
    for file, group in _groups(files, low, high):
        rows = file.read_row_group(group)
        held = rows["hash"].to_numpy()
        start = int(np.searchsorted(held, np.uint64(low), "left"))
        end = int(np.searchsorted(held, np.uint64(high), "right"))
        parts.append(rows.slice(start, end - start))
    return pa.concat_tables(parts)


def count_ids(files: Sequence[Path]) -> int:
    """How many rows they have together."""
    return sum(rows_of(file, DamagedViewError) for file in files)


def sorted_by_hash(ids: pa.Table) -> pa.Table:
    """`ids` (`IDS`) in the order in which they are written."""
    return ids.take(pa.array(np.argsort(ids["hash"].to_numpy(), kind="stable")))


def _groups(files: Sequence[Path], low: int, high: int) -> Iterator[tuple[pq.ParquetFile, int]]:
    for path in files:
        # what the caller reads of a group, it reads inside of this
        with reading(path, DamagedViewError), pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                statistics = file.metadata.row_group(group).column(0).statistics
                if statistics.min <= high and statistics.max >= low:
                    yield file, group
