"""Recompute: the raw table to a batch view, in full or from the version before. The engine `pandas`."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from adapters.lake.manifest import Manifest, PartitionState
from adapters.lake.raw_table import RawTable
from batch.coverage import Coverage, not_zero, rows_of
from batch.day_files import DayTask, date_of, write_day
from batch.distinct import BucketResult, BucketTask, settle
from batch.id_files import count_ids
from batch.partition_fold import PartitionResult, PartitionTask, fold_partition
from batch.scratch import Scratch
from batch.spill import DayPart
from batch.spread import spread_over
from core.cut import Cut
from core.declaration.pipeline import Pipeline
from core.delta import ACCEPTED, DUPLICATES, LATE
from core.rules import Rules

ENGINE: Final = "pandas"

#: Ids are made distinct in parts of about so many.
_BUCKET_ROWS: Final = 500_000
#: Each partition holds a file open for each bucket.
_MOST_BUCKETS: Final = 256
#: Above so many files of ids (and twice the buckets) they are gathered: each run opens all of them.
_MANY_ID_FILES: Final = 64


class Recompute:
    """Folds what is below a cut, with the logic of `core`, in bounded memory.

    Three phases, each spread over processes: partitions to rows by hash of the id and to sums
    that still hold the duplicates; buckets of ids to duplicates, which are taken back from the
    sums; days to files. From the version before it takes over counters, states, ids and the files
    of days that nothing is added to.
    """

    def __init__(self, raw: RawTable, folder: Path, rules: Rules, processes: int, pipeline: Pipeline) -> None:
        """`folder`: where the files of all versions are (`adapters.lake.views.ViewStore.data`)."""
        self._pipeline = pipeline
        self._raw = raw
        self._folder = folder
        self._rules = rules
        self._processes = processes

    def run(self, cut: Cut, previous: Manifest | None, *, version: int, created_ms: int, full: bool) -> Manifest:
        """Writes the files of a version, which is not published yet.

        Only what is new since `previous` is folded, unless `full`, or where it cannot be continued:
        other rules, logic or meaning, or a cut that is not behind its cut. `created_ms`: the time, for people.
        Raises `InexactError` where the raw table ends before the cut, and where clocks are so far
        apart that a record is on the wrong side of this cut or of the one before.
        """
        coverage = Coverage(self._raw, cut)
        base = None if full or previous is None or not self._continues(previous, cut) else previous
        starts = coverage.firsts | ({} if base is None else {s: base.cut.vector[s] for s in base.cut.vector})
        rows = sum(cut.vector[source] - starts[source] for source in coverage.sources)
        with ExitStack() as stack:
            scratch = stack.enter_context(Scratch(self._folder)).path
            spread = spread_over(self._processes, rows, stack)
            run = f"{version:06}-{uuid.uuid4().hex[:8]}"
            old = [] if base is None else [self._folder / name for name in base.ids]
            buckets, gather = _buckets(rows, old)
            states = {} if base is None else base.partitions
            tasks = [
                PartitionTask(
                    self._raw.path,
                    source,
                    number,
                    starts[source],
                    cut.vector[source],
                    states.get(source, PartitionState()),
                    self._rules,
                    self._pipeline,
                    0 if base is None or source not in base.cut.vector else base.cut.epoch,
                    cut.epoch,
                    buckets,
                    scratch,
                )
                for number, source in enumerate(coverage.sources)
            ]
            # the longest first, so that no process is left alone with it at the end
            tasks.sort(key=lambda task: task.start - task.end)
            folded = dict(zip((task.source for task in tasks), spread(fold_partition, tasks), strict=True))
            settled = list(
                spread(
                    settle,
                    [
                        BucketTask(
                            bucket,
                            buckets,
                            len(coverage.sources),
                            scratch,
                            old,
                            gather,
                            self._folder / f"ids-{bucket:03}-{run}.parquet",
                            self._pipeline,
                        )
                        for bucket in range(buckets)
                    ],
                )
            )
            days = list(spread(write_day, self._day_tasks([*folded.values(), *settled], base, run)))
        kept = () if base is None or gather else base.ids
        closed = {}
        for source, result in folded.items():
            before = states.get(source)
            counted = 0 if before is None else rows_of(before, starts[source])
            closed[source] = coverage.closed(source, result.state, counted + result.rows)
        return Manifest(
            version=version,
            cut=cut,
            rules=self._rules.encode(),
            logic=self._pipeline.logic,
            engine=ENGINE,
            full=base is None,
            created_ms=created_ms,
            partitions=closed,
            counters=_counters(folded.values(), settled, base),
            cells=({} if base is None else dict(base.cells)) | {day.date: day.cells for day in days if day.cells},
            users=({} if base is None else dict(base.users)) | {day.date: day.users for day in days if day.users},
            ids=(*kept, *(result.ids for result in settled if result.ids)),
            meaning=self._pipeline.meaning,
        )

    def _continues(self, previous: Manifest, cut: Cut) -> bool:
        return (
            previous.rules == self._rules.encode()
            and previous.logic == self._pipeline.logic
            and previous.meaning == self._pipeline.meaning
            and previous.cut.epoch <= cut.epoch
            and all(offset <= cut.vector.get(source, -1) for source, offset in previous.cut.vector.items())
        )

    def _day_tasks(
        self, results: Sequence[PartitionResult | BucketResult], base: Manifest | None, run: str
    ) -> list[DayTask]:
        cells: defaultdict[int, list[DayPart]] = defaultdict(list)
        users: defaultdict[int, list[DayPart]] = defaultdict(list)
        for result in results:
            for part in result.cells:
                cells[part.day].append(part)
            for part in result.users:
                users[part.day].append(part)

        def old(files: dict[str, str], day: int) -> Path | None:
            name = files.get(date_of(day))
            return None if name is None else self._folder / name

        old_cells, old_users = ({}, {}) if base is None else (dict(base.cells), dict(base.users))
        return [
            DayTask(
                day, cells[day], users[day], old(old_cells, day), old(old_users, day), self._folder, run, self._pipeline
            )
            # events may have users where all that they add up to is 0
            for day in sorted({*cells, *users})
        ]


def _buckets(rows: int, old: Sequence[Path]) -> tuple[int, bool]:
    """How many buckets, and whether the old files of ids are gathered."""
    gathered = rows + count_ids(old) if len(old) > _MANY_ID_FILES else 0
    most = min(_MOST_BUCKETS, 1 + gathered // _BUCKET_ROWS)
    if len(old) > max(_MANY_ID_FILES, 2 * most):
        return most, True
    return min(_MOST_BUCKETS, 1 + rows // _BUCKET_ROWS), False


def _counters(
    folded: Iterable[PartitionResult], settled: Iterable[BucketResult], base: Manifest | None
) -> dict[str, int]:
    sums = Counter({} if base is None else base.counters)
    for part in folded:
        sums.update(part.counters)
        sums[ACCEPTED] += part.valid
    for bucket in settled:
        sums[ACCEPTED] -= bucket.duplicates
        sums[DUPLICATES] += bucket.duplicates
        sums[LATE] -= bucket.late
    return not_zero(sums)
