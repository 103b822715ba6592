"""The archive: copies the log up to a cut into the raw table, each record once, whatever is killed when."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from adapters.kafka.access import KafkaAccess
from adapters.kafka.continuity import Continuity, Mark
from adapters.kafka.raw_reader import CHUNK, OffsetGoneError, Piece, RawReader
from adapters.kafka.topics import Topics
from adapters.lake.raw_table import SCHEMA, ConcurrentArchiveError, RawTable
from core.errors import InexactError, UnavailableError
from core.position import PartitionKey

#: A commit has at least so many rows, or bytes in memory, except for the last one of a run.
COMMIT_ROWS: Final = 200_000
COMMIT_BYTES: Final = 128 * 2**20
#: How long a partition may stand still before its end, as under an open transaction.
QUIET_S: Final = 30.0
#: How often in a row a commit may be refused while nobody moves on.
TRIES: Final = 20
_READ_S: Final = 0.05


class LostRecordsError(InexactError):
    """Retention removed records before they were archived. Nothing was written; the user decides."""


@dataclass(frozen=True, slots=True)
class ArchiveReport:
    """What one run added to the table. `bytes`: keys and values, in memory. `positions`: next offsets."""

    records: int
    bytes: int
    positions: Mapping[PartitionKey, int]


def _silent(records: int) -> None:
    """Report progress to nobody."""


class Archive:
    """Any number of processes may archive at once: all but one do nothing that lasts."""

    def __init__(
        self,
        access: KafkaAccess,
        table: RawTable,
        *,
        accept_loss: bool = False,
        commit_rows: int = COMMIT_ROWS,
        quiet_s: float = QUIET_S,
        progress: Callable[[int], None] = _silent,
        moved: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`progress` is told the number of records after each commit of a run; `moved` is called when some arrive."""
        self._access = access
        self._topics = Topics(access, table.topics)
        self._continuity = Continuity(
            access,
            "the archive",
            "begin another archive with FOURFOLD_LAKE (and another view with FOURFOLD_NAMESPACE)",
        )
        self._table = table
        self._accept_loss = accept_loss
        self._commit_rows = commit_rows
        self._quiet_s = quiet_s
        self._progress = progress
        self._moved = moved
        self._clock = clock

    def run(self, vector: Mapping[PartitionKey, int]) -> ArchiveReport:
        """Archives each partition from its position, or from the log's start, up to `vector`.

        Raises `LostRecordsError` where retention was faster and that loss is not accepted,
        `ConfigurationError` where the log is not the one that was archived, `UnavailableError`
        where Kafka gives nothing, or a transaction stays open below the vector. What was committed
        before an error stays; the next run goes on there.
        """
        tries = 0
        seen: dict[PartitionKey, int] = {}
        with (
            RawReader(self._access, min(CHUNK, self._commit_rows)) as reader,
            ThreadPoolExecutor(1, "archive") as writer,
        ):
            run = _Run(self._table, writer, self._progress)
            while True:
                try:
                    self._table.bind({name: state.identity for name, state in self._topics.states().items()})
                    self._topics.check_settings()
                    self._check_log(vector)
                    self._archive(reader, vector, run)
                    return ArchiveReport(run.records, run.bytes, self._table.positions())
                except (ConcurrentArchiveError, OffsetGoneError):
                    with suppress(ConcurrentArchiveError):
                        run.settle()
                    before, seen = seen, self._table.positions()
                    tries = tries + 1 if seen == before else 1
                    if tries == TRIES:
                        raise

    def tidy(self) -> None:
        """Gathers small files, and removes those that have not counted for an hour."""
        # the next run will do; whoever was faster may have done it
        with suppress(ConcurrentArchiveError):
            self._table.compact()
        self._table.vacuum()

    def _check_log(self, vector: Mapping[PartitionKey, int]) -> None:
        """Raises `ConfigurationError` where the log is not the one that was archived, `UnavailableError` for a part."""
        positions, marks = self._table.positions(), self._table.marks()
        if unnamed := positions.keys() - vector.keys():
            raise UnavailableError(
                f"Kafka does not name {min(unnamed)}, which is archived: a broker may not know all partitions yet"
            )
        self._continuity.check({s: Mark(end, *marks.get(s, (-1, 0))) for s, end in positions.items()})

    def _archive(self, reader: RawReader, vector: Mapping[PartitionKey, int], run: _Run) -> None:
        run.begin(self._starts(reader, vector))
        reader.begin({source: (start, vector[source]) for source, start in run.positions.items()})
        last = self._clock()
        while reader.left:
            pieces = reader.read(_READ_S)
            moved = run.take(pieces)
            if moved:
                last = self._clock()
                self._moved()
            elif self._clock() - last > self._quiet_s:
                source = reader.left[0]
                raise UnavailableError(
                    f"Kafka has given no records of {source} from {run.positions[source]} on for {self._quiet_s:g} s: "
                    "it is away, or a transaction is open; what was archived stays, run it again"
                )
            if run.rows >= self._commit_rows or run.size >= COMMIT_BYTES:
                run.commit()
        run.commit()
        run.settle()

    def _starts(self, reader: RawReader, vector: Mapping[PartitionKey, int]) -> dict[PartitionKey, int]:
        """Where to begin with each partition that is not at the vector; the loss is dealt with."""
        archived = self._table.positions()
        behind = [source for source, end in vector.items() if archived.get(source, -1) < end]
        bounds = reader.bounds(behind)
        starts = {}
        passed = {}
        for source in behind:
            low, _ = bounds[source]
            first = min(low, vector[source])
            starts[source] = archived.get(source, first)
            if starts[source] < first:
                passed[source] = (starts[source], first)
        if passed:
            if not self._accept_loss:
                raise _lost(passed)
            none = SCHEMA.empty_table()
            self._table.append(none, passed, {source: after - start for source, (start, after) in passed.items()})
            starts |= {source: after for source, (_, after) in passed.items()}
        return starts


class _Run:
    """What a run has read and not committed yet, and what it has committed.

    A commit is written while the next one is read: one is under way at most.
    """

    def __init__(self, table: RawTable, writer: Executor, progress: Callable[[int], None]) -> None:
        self._table = table
        self._writer = writer
        self._progress = progress
        self._writing: tuple[Future[None], int, int] | None = None
        self.records = 0
        self.bytes = 0
        self.begin({})

    def begin(self, positions: dict[PartitionKey, int]) -> None:
        """Forgets what was read and not committed."""
        self.positions = positions
        self._handed = dict(positions)
        self._clear()

    def take(self, pieces: list[Piece]) -> bool:
        """Whether any partition moved."""
        moved = False
        for source, rows, following in pieces:
            moved |= following > self.positions[source]
            self.positions[source] = max(following, self.positions[source])
            if rows.num_rows:
                self._batches.setdefault(source, []).append(rows)
                self.rows += rows.num_rows
                self.size += rows.nbytes
        return moved

    def commit(self) -> None:
        """Hands what was taken to the writer. Raises as `settle` for the commit before."""
        self.settle()
        handed = self._handed
        moves = {source: (handed[source], new) for source, new in self.positions.items() if new > handed[source]}
        if moves:
            tables = [_labelled(source, batches) for source, batches in self._batches.items()]
            rows = pa.concat_tables(tables) if tables else SCHEMA.empty_table()
            self._writing = self._writer.submit(self._table.append, rows, moves), self.rows, self.size
            self._handed = dict(self.positions)
            self._clear()

    def settle(self) -> None:
        """Waits for the commit that is under way. Raises `ConcurrentArchiveError` where it was refused."""
        if self._writing is None:
            return
        (done, rows, size), self._writing = self._writing, None
        done.result()
        self.records += rows
        self.bytes += size
        self._progress(self.records)

    def _clear(self) -> None:
        self._batches: dict[PartitionKey, list[pa.RecordBatch]] = {}
        self.rows = 0
        self.size = 0


def _labelled(source: PartitionKey, batches: list[pa.RecordBatch]) -> pa.Table:
    """Rows of `SCHEMA` from rows of one partition."""
    rows = pa.Table.from_batches(batches).combine_chunks()
    topic, partition = (pa.repeat(pa.scalar(value, SCHEMA.field(i).type), len(rows)) for i, value in enumerate(source))
    return pa.table([topic, partition, *rows.columns], schema=SCHEMA)


def _lost(passed: Mapping[PartitionKey, tuple[int, int]]) -> LostRecordsError:
    what = ", ".join(
        f"{source} offsets {start} to {after - 1} ({after - start})"
        for source, (start, after) in sorted(passed.items())
    )
    return LostRecordsError(
        f"retention removed records before they were archived: {what}; "
        "go on without them with `fourfold batch --accept-loss`, and keep the log longer"
    )
