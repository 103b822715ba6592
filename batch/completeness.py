"""The last look before a publication: a version covers each raw row below its cut once, whatever made it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from adapters.lake.manifest import Manifest, PartitionState
from adapters.lake.raw_table import RawTable
from adapters.lake.trouble import DamagedViewError, reading
from batch.coverage import rows_of
from batch.id_files import count_ids
from core.declaration.pipeline import ALL, Pipeline
from core.delta import ACCEPTED, LATE
from core.errors import InexactError
from core.position import PartitionKey

_REMEDY: Final = "nothing is published; count it all again with `fourfold recompute --full`, or by another --engine"


class Completeness:
    """Calls are `batch.cycle.Completeness`. Shares nothing with the engines: rows are counted by the raw table's log."""

    def __init__(self, raw: RawTable, folder: Path, pipeline: Pipeline) -> None:
        """`folder`: where the files of versions are."""
        self._pipeline = pipeline
        self._raw = raw
        self._folder = folder
        #: by file, dimension and measure that counts events
        self._sums: dict[str, dict[str, dict[str, int]]] = {}

    def __call__(self, manifest: Manifest) -> None:
        """Raises `InexactError` where rows below the cut are in no counter, or accepted events in no cell.

        Raises `DamagedViewError` where a file of the version cannot be read.
        """
        rows = self._raw.rows_below(manifest.cut.vector)
        self._check_partitions(manifest, rows)
        self._check_total(manifest, "records are counted", sum(_records(manifest.counters)), sum(rows.values()))
        accepted = manifest.counters.get(ACCEPTED, 0)
        ids = count_ids([self._folder / name for name in manifest.ids])
        self._check_total(manifest, "ids are kept", ids, accepted, "accepted events")
        for dimension, events, wanted in self._events_of(manifest, accepted):
            self._check_total(manifest, f"events are in the cells of {dimension}", events, wanted, "accepted events")

    def _check_partitions(self, manifest: Manifest, rows: Mapping[PartitionKey, int]) -> None:
        firsts = self._raw.firsts()
        for source, archived in sorted(self._raw.positions().items()):
            if source not in rows and firsts[source] < archived:
                raise InexactError(f"version {manifest.version} leaves {source} out, which is archived: {_REMEDY}")
        for source, found in sorted(rows.items()):
            end = manifest.cut.vector[source]
            state = manifest.partitions.get(source, PartitionState(first=end))
            if found > end - state.first:
                raise InexactError(
                    f"the raw table has {found:,} rows of {source} from offset {state.first} up to {end}: some are there "
                    "twice; nothing is published; begin another archive with FOURFOLD_LAKE"
                )
            covered = rows_of(state, end)
            if covered != found:
                raise InexactError(
                    f"version {manifest.version} covers {covered:,} of {found:,} raw rows of {source} below offset "
                    f"{end} ({state.gaps:,} gaps, {state.lost:,} lost): {_REMEDY}"
                )

    def _events_of(self, manifest: Manifest, accepted: int) -> Iterator[tuple[str, int, int]]:
        """By dimension: how many events its cells have, and must have, as far as measures tell.

        Files never change: each one is read once.
        """
        pipeline = self._pipeline
        counted = {stream: list(pipeline.measures)[place] for stream, place in pipeline.counted.items()}
        if not counted:
            return
        columns = list(counted.values())
        names = set(manifest.cells.values())
        self._sums = {name: self._sums.get(name) or _sums(self._folder / name, columns) for name in names}

        def events(dimension: str, streams: Iterable[str]) -> int:
            wanted = [counted[stream] for stream in streams]
            return sum(file[dimension][name] for file in self._sums.values() if dimension in file for name in wanted)

        if counted.keys() == pipeline.streams.keys():
            yield ALL, events(ALL, counted), accepted
        for dimension in pipeline.dimensions:
            having = [stream for stream in counted if pipeline.always_has(stream, dimension)]
            yield dimension, events(dimension, having), events(ALL, having)

    @staticmethod
    def _check_total(
        manifest: Manifest, what: str, found: int, wanted: int, of: str = "raw rows below the cut"
    ) -> None:
        if found != wanted:
            raise InexactError(f"version {manifest.version}: {found:,} {what}, of {wanted:,} {of}: {_REMEDY}")


def _records(counters: Mapping[str, int]) -> list[int]:
    return [number for name, number in counters.items() if name != LATE]


def _sums(file: Path, measures: Sequence[str]) -> dict[str, dict[str, int]]:
    """By dimension: the sums of measures over a file of cells."""
    with reading(file, DamagedViewError):
        table = pq.ParquetFile(file).read(columns=["dimension", *measures])
    sums = table.group_by("dimension").aggregate([(measure, "sum") for measure in measures])
    return {row["dimension"]: {name: row[f"{name}_sum"] for name in measures} for row in sums.to_pylist()}
