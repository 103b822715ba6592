"""ETL: rows are validated, typed and made distinct before they are loaded. What is stored is what was asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from adapters.lake.manifest import PartitionState
from adapters.lake.raw_table import RawTable
from batch.spread import spread_over
from batch.sql import connect, read_parquet
from batch.typed import PartitionTyping
from core.declaration.pipeline import Pipeline
from core.position import PartitionKey
from core.rules import Rules

_PLACE: Final = (("topic", pa.string()), ("partition", pa.int32()))
#: The winner among duplicates is that of the batch view (`batch.distinct`).
_DISTINCT: Final = """
    SELECT * FROM staged
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY epoch, append_ms, topic, partition, "offset") = 1
"""


class TypingTask(NamedTuple):
    """The rows of `source` with `start` <= offset < `end`, to typed rows in `file`."""

    raw: Path
    source: PartitionKey
    start: int
    end: int
    rules: Rules
    pipeline: Pipeline
    file: Path


def transform(tasks: Sequence[TypingTask], rows: int, processes: int) -> Counter[str]:
    """Validates and types rows into the tasks' files; the counters (`batch.typed`) with duplicates in them."""
    with ExitStack() as stack:
        return sum(spread_over(processes, rows, stack)(type_partition, tasks), Counter())


def type_partition(task: TypingTask) -> Counter[str]:
    """One of them."""
    typing = PartitionTyping(task.source, PartitionState(), task.rules, task.pipeline)
    staged = pa.schema([*typing.schema, *_PLACE])
    with pq.ParquetWriter(task.file, staged) as writer:
        for chunk in RawTable(task.raw, task.pipeline.topics).scan(task.source, task.start, task.end):
            typed = typing.take(chunk)
            places = ([task.source.topic] * len(typed), [task.source.partition] * len(typed))
            writer.write_table(pa.table([*typed.columns, *places], staged))
    return typing.counters


def load(staged: Sequence[Path], file: Path, scratch: Path, threads: int) -> None:
    """Loads typed rows, each event once, into `file`."""
    with connect(scratch, threads) as database:
        read_parquet(database, [str(path) for path in staged]).create_view("staged")
        database.sql(_DISTINCT).write_parquet(str(file), compression="zstd")
