"""Recompute in SQL: the same batch view from the same raw table, by another road. The engine `duckdb`.

The SQL is made of the declaration (`batch.events_sql`) and shares no code with the kernel, so that two
engines that agree are two witnesses.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from adapters.lake.day_cells import USERS, cells_schema
from adapters.lake.manifest import Manifest, PartitionState
from adapters.lake.raw_table import RawTable
from batch.coverage import Coverage, clocks_apart, not_zero
from batch.day_files import date_of
from batch.id_files import sorted_by_hash
from batch.id_hash import id_hashes
from batch.parquet_file import write_parquet
from batch.scratch import Scratch
from batch.sql import connect, count_cells, make_events, open_raw
from core.cut import Cut
from core.declaration.pipeline import Pipeline
from core.position import PartitionKey
from core.rules import Rules

ENGINE: Final = "duckdb"

_IDS_A_FILE: Final = 1_000_000
_COUNTERS: Final = """
    SELECT 'rejected:' || reason, count(*) FROM events WHERE reason IS NOT NULL GROUP BY ALL
    UNION ALL SELECT 'accepted', count(*) FROM events WHERE counted
    UNION ALL SELECT 'duplicates', count(*) FROM events WHERE reason IS NULL AND NOT counted
    UNION ALL SELECT 'late', count(*) FROM events WHERE counted AND late
"""
_STATES: Final = """
    SELECT topic, partition, max(epoch), coalesce(max(newest_ms), 0),
        coalesce(arg_max(append_ms, "offset") FILTER (append_ms > 0), 0), count(*),
        coalesce(max("offset") FILTER (append_ms > 0), -1)
    FROM events GROUP BY topic, partition
"""


class DuckdbRecompute:
    """The same as `batch.recompute.Recompute`, always in full."""

    def __init__(self, raw: RawTable, folder: Path, rules: Rules, processes: int, pipeline: Pipeline) -> None:
        """`processes`: how many threads DuckDB may use."""
        self._pipeline = pipeline
        self._raw = raw
        self._folder = folder
        self._rules = rules
        self._threads = processes

    def run(
        self,
        cut: Cut,
        previous: Manifest | None,  # noqa: ARG002 - engines have one signature
        *,
        version: int,
        created_ms: int,
        full: bool,  # noqa: ARG002
    ) -> Manifest:
        """Writes the files of a version, which is not published yet. Errors as in `batch.recompute`, and `SqlError`."""
        coverage = Coverage(self._raw, cut)
        run = f"{version:06}-{uuid.uuid4().hex[:8]}"
        with Scratch(self._folder) as scratch, connect(scratch.path, self._threads, self._raw.check_files) as database:
            open_raw(database, self._raw.files(), cut)
            make_events(database, self._pipeline, self._rules)
            count_cells(database, self._pipeline)
            found = {PartitionKey(*row[:2]): row[2:] for row in database.execute(_STATES).fetchall()}
            partitions = {}
            for source in coverage.sources:
                epoch, newest_ms, appended_ms, rows, last = found.get(source, (*PartitionState()[:3], 0, -1))
                state = PartitionState(epoch, newest_ms, appended_ms, last=last)
                partitions[source] = coverage.closed(source, state, rows)
                if partitions[source].epoch >= cut.epoch:
                    raise clocks_apart(
                        source, f"a record below the cut is of epoch {partitions[source].epoch}, not below {cut.epoch}"
                    )
            return Manifest(
                version=version,
                cut=cut,
                rules=self._rules.encode(),
                logic=self._pipeline.logic,
                engine=ENGINE,
                full=True,
                created_ms=created_ms,
                partitions=partitions,
                counters=not_zero(dict(database.execute(_COUNTERS).fetchall())),
                cells=self._write_days(database, "cells", cells_schema(self._pipeline), run),
                users=self._write_days(database, "users", USERS, run),
                ids=tuple(self._write_ids(database, run)),
                meaning=self._pipeline.meaning,
            )

    def _write_days(
        self, database: duckdb.DuckDBPyConnection, kind: str, schema: pa.Schema, run: str
    ) -> dict[str, str]:
        days = database.execute(f"SELECT DISTINCT minute // 1440 AS day FROM {kind} ORDER BY day").fetchall()  # noqa: S608 - one of our two tables
        written = {}
        for (day,) in days:
            query = f"SELECT * FROM {kind} WHERE minute // 1440 = ? ORDER BY ALL"  # noqa: S608
            name = f"{kind}-{date_of(day)}-{run}.parquet"
            write_parquet(self._folder / name, database.sql(query, params=[day]).to_arrow_table().cast(schema))
            written[date_of(day)] = name
        return written

    def _write_ids(self, database: duckdb.DuckDBPyConnection, run: str) -> Iterator[str]:
        batches: Any = database.sql("SELECT id FROM events WHERE counted").to_arrow_reader(_IDS_A_FILE)
        held: list[pa.RecordBatch] = []
        numbers = count()
        for batch in chain(batches, [None]):
            if held and (batch is None or sum(map(len, held)) + len(batch) > _IDS_A_FILE):
                ids = pa.Table.from_batches(held)["id"].cast(pa.string()).combine_chunks()
                name = f"ids-{next(numbers):03}-{run}.parquet"
                write_parquet(self._folder / name, sorted_by_hash(pa.table({"hash": id_hashes(ids), "id": ids})))
                yield name
                held.clear()
            held.append(batch)
