"""Exact deduplication of one bucket: which rows are not the first of their id, and the ids that are new."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from batch.id_files import IDS, ids_between, known_ids, sorted_by_hash
from batch.parquet_file import write_parquet
from batch.spill import DayPart, DaySpill, bucket_rows
from batch.typed import typed_schema
from core.declaration.pipeline import Pipeline

#: The first in this order is the one that counts. The epoch, which grows along a partition, comes
#: first: so whatever is below a cut comes before all else, also where append times went back.
_ORDER: Final = ["epoch", "append_ms", "source", "offset"]
_ALL_HASHES: Final = 1 << 64


class BucketTask(NamedTuple):
    """Bucket number `bucket` of `buckets`, its rows from `sources` partitions in `scratch`.

    `old`: files of ids that are counted already, rewritten together with the new ones where `gather`.
    `ids`: the file to write.
    """

    bucket: int
    buckets: int
    sources: int
    scratch: Path
    old: Sequence[Path]
    gather: bool
    ids: Path
    pipeline: Pipeline


class BucketResult(NamedTuple):
    """How many rows were duplicates, how many of these were late, and the sums that go for them.

    `ids`: the name of the file that was written; None where there was no id to write.
    """

    duplicates: int
    late: int
    cells: list[DayPart]
    users: list[DayPart]
    ids: str | None


def settle(task: BucketTask) -> BucketResult:
    """Finds the duplicates of a bucket and writes its ids."""
    rows = bucket_rows(task.scratch, task.bucket, task.sources, typed_schema(task.pipeline))
    hashes = rows["hash"].to_numpy()
    known = known_ids(task.old, np.sort(hashes))
    lost = _duplicates(rows, pd.Series(hashes), known)
    spill = DaySpill(task.scratch, f"taken-back-{task.bucket}", task.pipeline)
    taken_back = rows.take(pa.array(lost))
    spill.add(taken_back, sign=-1)
    spill.flush()
    fresh = np.ones(len(rows), bool)
    fresh[lost] = False
    ids = rows.select(IDS.names).filter(pa.array(fresh))
    if task.gather:
        # the hashes of this bucket, as `batch.id_hash.buckets_of` draws the lines
        low, high = (-(-(bucket << 32) // task.buckets) << 32 for bucket in (task.bucket, task.bucket + 1))
        ids = pa.concat_tables([ids_between(task.old, low, min(high, _ALL_HASHES) - 1), ids])
    if len(ids):
        write_parquet(task.ids, sorted_by_hash(ids))
    late = pc.sum(taken_back["late"]).as_py() or 0
    return BucketResult(len(lost), late, spill.cells, spill.users, task.ids.name if len(ids) else None)


def _duplicates(rows: pa.Table, hashes: pd.Series, known: pa.Array) -> np.ndarray:
    """The places of the rows whose id is known, or is that of an earlier row."""
    repeated = hashes.duplicated(keep=False).to_numpy()
    if len(known):
        repeated = repeated | pc.is_in(rows["id"], value_set=known).to_numpy()
    places = np.flatnonzero(repeated)
    found = rows.take(pa.array(places)).select([*_ORDER, "id"])
    frame = found.to_pandas().assign(place=places, known=pc.is_in(found["id"], value_set=known).to_numpy())
    frame = frame.sort_values(_ORDER, kind="stable")
    return np.sort(frame.loc[frame["known"] | frame["id"].duplicated(), "place"].to_numpy())
