"""The first phase of a recompute: the raw rows of one partition to spilled rows and sums."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from adapters.lake.manifest import PartitionState
from adapters.lake.raw_table import RawTable
from batch.coverage import clocks_apart
from batch.id_hash import id_hashes
from batch.spill import BucketSpill, DayPart, DaySpill
from batch.typed import PartitionTyping
from core.contract import UNSTAMPED_MS
from core.declaration.pipeline import Pipeline
from core.position import PartitionKey
from core.rules import Rules


class PartitionTask(NamedTuple):
    """The rows of `source`, place `number` in the order of all, with `start` <= offset < `end`.

    `state`: at `start`. Their epochs must be at and above `since` and below `until`.
    """

    raw: Path
    source: PartitionKey
    number: int
    start: int
    end: int
    state: PartitionState
    rules: Rules
    pipeline: Pipeline
    since: int
    until: int
    buckets: int
    scratch: Path


class PartitionResult(NamedTuple):
    """`state` at the end of the task but for gaps and losses; how many rows there were.

    `counters`: `rejected:<reason>` and `late`, duplicates among these; so in `valid` and the sums.
    """

    state: PartitionState
    rows: int
    valid: int
    counters: dict[str, int]
    cells: list[DayPart]
    users: list[DayPart]


def fold_partition(task: PartitionTask) -> PartitionResult:
    """Raises `InexactError` where an epoch is on the wrong side of a cut."""
    typing = PartitionTyping(task.source, task.state, task.rules, task.pipeline)
    rows_spill = BucketSpill(task.scratch, task.number, task.buckets, typing.schema)
    day_spill = DaySpill(task.scratch, str(task.number), task.pipeline)
    rows = valid = 0
    for chunk in RawTable(task.raw, task.pipeline.topics).scan(task.source, task.start, task.end):
        if not rows:
            first_ms = chunk["append_ms"][0].as_py()
            first = max(task.state.epoch, task.rules.epoch_of(first_ms))
            if first_ms != UNSTAMPED_MS and first < task.since:
                raise clocks_apart(
                    task.source,
                    f"the record after the cut before this one is of epoch {first}, below {task.since}",
                    ", and make a version anew with `fourfold recompute --full`",
                )
        typed = typing.take(chunk)
        if typing.state.epoch >= task.until:
            raise clocks_apart(
                task.source, f"a record below the cut is of epoch {typing.state.epoch}, not below {task.until}"
            )
        rows += len(chunk)
        valid += len(typed)
        if len(typed):
            rows_spill.add(typed, id_hashes(typed["id"].combine_chunks()))
            day_spill.add(typed)
    rows_spill.close()
    day_spill.flush()
    return PartitionResult(typing.state, rows, valid, dict(typing.counters), day_spill.cells, day_spill.users)
