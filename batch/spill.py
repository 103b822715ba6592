"""Files of one recompute between its phases: rows by bucket, sums by day. Arrow, mapped when read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import ipc

from batch.id_hash import Hashes, buckets_of
from batch.sums import USER_SUMS, Sums, user_sums
from core.cells import CellOverflowError
from core.declaration.pipeline import Pipeline

MINUTES_A_DAY: Final = 1440
#: What a row of a bucket has before the typed columns: the hash of the id, the place of the partition among all.
_SPILLED: Final = (("hash", pa.uint64()), ("source", pa.int16()))
#: Sums are held until there are so many rows of them.
_HELD: Final = 500_000


class BucketSpill:
    """Spreads the typed rows of one partition over buckets by the hash of the id."""

    def __init__(self, folder: Path, source: int, buckets: int, typed: pa.Schema) -> None:
        """`source`: the place of the partition in the order of all; `typed`: of its rows."""
        self._schema = pa.schema([*_SPILLED, *typed])
        self._folder = folder
        self._source = source
        self._writers: list[ipc.RecordBatchFileWriter | None] = [None] * buckets

    def add(self, rows: pa.Table, hashes: Hashes) -> None:
        """`rows`: typed; `hashes`: of their ids."""
        sources = pa.array(np.full(len(rows), self._source, np.int16))
        spilled = pa.table([pa.array(hashes), sources, *rows.columns], self._schema)
        count = len(self._writers)
        if count == 1:
            self._write(0, spilled)
            return
        buckets = buckets_of(hashes, count)
        order = np.argsort(buckets, kind="stable")
        spilled = spilled.take(pa.array(order))
        bounds = np.searchsorted(buckets[order], np.arange(count + 1)).tolist()
        for bucket in range(count):
            start, end = bounds[bucket : bucket + 2]
            if start < end:
                self._write(bucket, spilled.slice(start, end - start))

    def close(self) -> None:
        """Ends the files."""
        for writer in self._writers:
            if writer is not None:
                writer.close()

    def _write(self, bucket: int, rows: pa.Table) -> None:
        writer = self._writers[bucket]
        if writer is None:
            writer = ipc.new_file(str(bucket_file(self._folder, bucket, self._source)), self._schema)
            self._writers[bucket] = writer
        writer.write_table(rows)


def bucket_file(folder: Path, bucket: int, source: int) -> Path:
    """Where the rows of a partition in a bucket are; no file where there is none."""
    return folder / f"rows-{bucket}-{source}.arrow"


def bucket_rows(folder: Path, bucket: int, sources: int, typed: pa.Schema) -> pa.Table:
    """All rows of a bucket, mapped: what is not looked at takes no memory."""
    none = pa.schema([*_SPILLED, *typed]).empty_table()
    files = (bucket_file(folder, bucket, source) for source in range(sources))
    return pa.concat_tables([none, *(_mapped(file).read_all() for file in files if file.exists())])


class DayPart(NamedTuple):
    """Sums of one day (days since 1970) in a batch of a spilled file."""

    day: int
    path: Path
    batch: int

    def read(self) -> pa.RecordBatch:
        """The sums."""
        return _mapped(self.path).get_batch(self.batch)


class DaySpill:
    """Collects sums of cells and users, and writes them by day."""

    def __init__(self, folder: Path, name: str, pipeline: Pipeline) -> None:
        """`name`: of this part of the work, in file names."""
        self._sums = Sums(pipeline)
        self._folder = folder
        self._name = name
        self._held: tuple[list[pa.Table], list[pa.Table]] = ([], [])
        self._rows = 0
        self._files = 0
        self.cells: list[DayPart] = []
        self.users: list[DayPart] = []

    def add(self, rows: pa.Table, sign: int = 1) -> None:
        """Adds typed rows, or takes them back where `sign` is -1."""
        if not len(rows):
            return
        for held, sums in zip(self._held, (self._sums.cell_sums(rows, sign), user_sums(rows, sign)), strict=True):
            held.append(sums)
            self._rows += len(sums)
        if self._rows >= _HELD:
            self.flush()

    def flush(self) -> None:
        """Writes what is held."""
        for held, parts, schema in zip(
            self._held, (self.cells, self.users), (self._sums.cell_schema, USER_SUMS), strict=True
        ):
            whole = pa.concat_tables([schema.empty_table(), *held])
            held.clear()
            for sums in self._that_fit(whole):
                if not len(sums):
                    continue
                path = self._folder / f"days-{self._name}-{self._files}.arrow"
                self._files += 1
                with ipc.new_file(str(path), schema) as writer:
                    for batch, (day, slice_) in enumerate(by_day(sums)):
                        writer.write_table(slice_)
                        parts.append(DayPart(day, path, batch))
        self._rows = 0

    def _that_fit(self, table: pa.Table) -> Iterator[pa.Table]:
        """The sums of a table: of it all, or of parts where 64 bits do not hold those; what is taken back comes later."""
        try:
            yield self._sums.add_up(table)
        except CellOverflowError:
            middle = len(table) // 2
            for part in (table.slice(0, middle), table.slice(middle)):
                yield from self._that_fit(part)


def by_day(sums: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    """Sums in order of minutes, day by day."""
    days = sums["minute"].to_numpy() // MINUTES_A_DAY
    found, starts = np.unique(days, return_index=True)
    ends: Sequence[int] = [*starts[1:].tolist(), len(sums)]
    for day, start, end in zip(found.tolist(), starts.tolist(), ends, strict=True):
        yield day, sums.slice(start, end - start).combine_chunks()


def _mapped(path: Path) -> ipc.RecordBatchFileReader:
    return ipc.open_file(pa.memory_map(str(path)))
