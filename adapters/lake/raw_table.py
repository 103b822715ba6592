"""The raw master table: every record of the log as it came, once, and how far each partition is archived."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from adapters.durable import refuse_without_links
from adapters.lake.columns import Column, schema_of
from adapters.lake.delta_log import refuse_empty, still_there, why_unreadable
from adapters.lake.parquet import rows_of
from adapters.lake.plain_path import plain_root
from adapters.lake.trouble import LIBRARY_ERRORS, DamagedRawError, LakeError, number_of, reading, writing
from core.contract import UNSTAMPED_MS
from core.errors import ConfigurationError, FourfoldError, UnavailableError
from core.position import PartitionKey

#: `append_ms` is the broker's append time, 0 where it did not stamp the record. The truth header is not here: no layer may read it.
SCHEMA: Final = schema_of(
    Column("topic", pa.string(), "the topic of Kafka"),
    Column("partition", pa.int32(), "its partition"),
    Column("offset", pa.int64(), "the record's offset there"),
    Column("append_ms", pa.int64(), "when the broker appended it; 0: it did not say", "milliseconds since 1970, UTC"),
    Column("key", pa.binary(), "the record's key, as it came"),
    Column("value", pa.binary(), "the record's value, as it came; null where it had none"),
)
SCANNED: Final = ["offset", "append_ms", "key", "value"]
SCAN_ROWS: Final = 65_536
#: Compressed; about 400,000 events, 100 MiB in memory. A scan holds one such file at a time.
COMPACT_BYTES: Final = 16 * 2**20
#: Readers may hold a snapshot, and writers files that are not committed yet, for so long.
KEEP_HOURS: Final = 1
_LOG: Final = "_delta_log"
#: How Delta names its data files.
_WRITTEN: Final = re.compile(r"part-\d+-[0-9a-f-]{36}-c\d+\.\w+\.parquet")
#: Bytes that a commit may need beside its rows, at most that many as in memory.
_ROOM: Final = 1 << 17
_WRITER: Final = WriterProperties(compression="ZSTD")
_CONFIGURATION: Final = {"delta.appendOnly": "true", "delta.dataSkippingStatsColumns": "offset,append_ms"}


class ConcurrentArchiveError(FourfoldError):
    """Somebody else changed the table meanwhile: nothing was written. Read the positions again and go on."""


class RawTable:
    """A Delta table, partitioned by topic and partition. Readers and writers in any process.

    How far a partition is archived are application transactions in the commit that adds its rows,
    whose versions are offsets: `archive/<topic>/<partition>` the next one, `first/...` the first
    one, `lost/...` how many retention removed before, `last/...` and `at/...` the offset and the append time of
    the last record. A transaction is found by name only, so
    `partitions/<topic>` says how many there may be. `log/<topic>` is a hash of the topic's identity.
    """

    def __init__(self, path: Path, topics: Sequence[str]) -> None:
        """`topics`: what is archived there."""
        self.path = path.absolute()
        self.topics = tuple(topics)
        self._handle: DeltaTable | None = None

    def positions(self) -> dict[PartitionKey, int]:
        """The next offset to archive of each partition; empty before the first archive."""
        return self._numbers("archive")

    def firsts(self) -> dict[PartitionKey, int]:
        """The first offset that was archived of each partition."""
        return self._numbers("first")

    def lost(self) -> dict[PartitionKey, int]:
        """How many offsets of a partition retention removed before they were archived; 0 is left out."""
        return self._numbers("lost")

    def marks(self) -> dict[PartitionKey, tuple[int, int]]:
        """Offset and append time in ms of the last record of each partition; older tables may not know them."""
        table = self._open()
        if table is None:
            return {}
        times = self._numbers_of(table, "at")
        return {source: (offset, times[source]) for source, offset in self._numbers_of(table, "last").items()}

    def bind(self, identities: Mapping[str, str]) -> None:
        """Binds the table to the log that it archives: topic to what changes when the topic is made anew.

        Raises `ConfigurationError` where it archives another log, `ConcurrentArchiveError` as `append`.
        """
        table = self._open() or self._create()
        hashes = {f"log/{topic}": _hash(identity) for topic, identity in identities.items()}
        bound = {name: table.transaction_version(name) for name in hashes}
        for name, number in bound.items():
            if number not in (None, hashes[name]):
                raise ConfigurationError(
                    f"{self.path} archives another log: the topic {name.removeprefix('log/')} was deleted and made "
                    "anew; begin another archive with FOURFOLD_LAKE"
                )
        new = {name: number for name, number in hashes.items() if bound[name] is None}
        if new:
            self._commit(table, SCHEMA.empty_table(), new)

    def append(
        self,
        rows: pa.Table,
        moves: Mapping[PartitionKey, tuple[int, int]],
        lost: Mapping[PartitionKey, int] | None = None,
    ) -> None:
        """Adds rows of `SCHEMA` and moves partitions, in one commit.

        `moves`: old and new next offset; a partition may move without rows. The old one of a
        partition that is new here is its first offset. `lost`: how many offsets of a move are lost.
        Raises `ConcurrentArchiveError` where the table is not at the old offsets, or changed meanwhile, `LakeError` where
        it is damaged or cannot be written, `ConfigurationError` on a file system without hard links.
        """
        table = self._open() or self._create()
        archived = self._numbers_of(table, "archive")
        for source, (old, _) in moves.items():
            if archived.get(source, old) != old:
                raise ConcurrentArchiveError(
                    f"{source} is archived up to {archived[source]} in {self.path}, not {old}: "
                    "another process archives too; read the positions again"
                )
        versions = {_name("archive", source): new for source, (_, new) in moves.items()}
        versions |= {_name("first", source): old for source, (old, _) in moves.items() if source not in archived}
        before = self._numbers_of(table, "lost")
        versions |= {_name("lost", source): before.get(source, 0) + count for source, count in (lost or {}).items()}
        for topic in {source.topic for source in moves}:
            count = max(source.partition for source in moves if source.topic == topic) + 1
            if count > _count(table, topic):
                versions[f"partitions/{topic}"] = count
        for source, (offset, append_ms) in _last_of(rows).items():
            versions |= {_name("last", source): offset, _name("at", source): append_ms}
        self._commit(table, rows, versions)

    def scan(self, source: PartitionKey, start: int, end: int) -> Iterator[pa.RecordBatch]:
        """The rows with `start` <= offset < `end`, in offset order, as batches of `SCANNED`.

        In memory are one file of this partition, and what overlaps with it: compaction gathers files
        that are no neighbours, and mixes their rows.
        """
        files = [file for file in self._data_files(source) if file.first < end and file.last >= start]
        held: list[pa.Table] = []
        for file, following in zip_longest(files, files[1:]):
            # not `read_table`: it takes the folders' names for columns
            with reading(Path(file.path), DamagedRawError):
                read = pq.ParquetFile(file.path).read(columns=SCANNED)
            table = _in_order(pa.concat_tables([*held, read]))
            whole_until = min(end, following.first) if following else end
            low, high = np.searchsorted(table["offset"].to_numpy(), [start, max(start, whole_until)])
            yield from table.slice(low, high - low).to_batches(max_chunksize=SCAN_ROWS)
            held = [table.slice(high)]

    def files(self) -> dict[PartitionKey, list[str]]:
        """The absolute paths of the data files that count now. Other files in the folder are left-overs."""
        found: dict[PartitionKey, list[str]] = {}
        for file in self._data_files():
            found.setdefault(file.source, []).append(file.path)
        return found

    def rows_below(self, ends: Mapping[PartitionKey, int]) -> dict[PartitionKey, int]:
        """How many rows of each partition have an offset below its end.

        From the table's log; offsets are read only from files that go on above.
        """
        found = dict.fromkeys(ends, 0)
        for file in self._data_files():
            end = ends.get(file.source, 0)
            if file.last < end:
                found[file.source] += file.rows
            elif file.first < end:
                with reading(Path(file.path), DamagedRawError):
                    offsets = pq.ParquetFile(file.path).read(columns=["offset"])["offset"].to_numpy()
                found[file.source] += int((offsets < end).sum())
        return found

    def check_files(self) -> None:
        """Raises `DamagedRawError` where a data file is missing, or has another number of rows than was written."""
        for file in self._data_files():
            path = Path(file.path)
            rows = rows_of(path, DamagedRawError)
            if rows != file.rows:
                raise DamagedRawError.of(path, f"it has {rows:,} of {file.rows:,} rows")

    def version(self) -> int:
        """The number of the last commit; -1 before the first one."""
        table = self._open()
        return -1 if table is None else table.version()

    def compact(self) -> None:
        """Gathers small files.

        Raises `ConcurrentArchiveError` where another process changed the same ones, `LakeError` as `append`.
        """
        table = self._open()
        if table is None:
            return
        with self._telling():
            try:
                table.optimize.compact(target_size=COMPACT_BYTES, writer_properties=_WRITER)
            except CommitFailedError as error:
                if number_of(error):
                    raise
                raise ConcurrentArchiveError(f"{self.path} was changed while it was compacted: {error}") from error
            except DeltaError:
                # it names no file that it cannot read
                self.check_files()
                raise

    def vacuum(self, *, alone: bool = False) -> int:
        """Removes files that do not count, of those that Delta wrote; how many. Raises `LakeError`.

        `alone`: nobody reads or writes the table now, so that young and half-written files go too.
        """
        table = self._open()
        if table is None:
            return 0
        with self._telling():
            found = table.vacuum(
                retention_hours=0 if alone else KEEP_HOURS, dry_run=True, enforce_retention_duration=False, full=True
            )
            # what has another name is somebody else's, and may be all that is left of a file
            gone = [self.path / name for name in map(unquote, found) if _WRITTEN.fullmatch(Path(name).name)]
            # names of a writer that was killed while it wrote; Delta does not know them
            gone += self.path.glob("*/*/*.parquet#*") if alone else []
            for file in gone:
                file.unlink(missing_ok=True)
        return len(gone)

    def _open(self) -> DeltaTable | None:
        """The table as it is now; None where there is none yet."""
        if not (self.path / _LOG).is_dir():
            return None
        root = self._root()
        try:
            if self._handle is not None and not still_there(self.path / _LOG, self._handle.version()):
                # somebody went back to an earlier commit
                self._handle = None
            known = -1 if self._handle is None else self._handle.version()
            if self._handle is None:
                self._handle = DeltaTable(root)
            else:
                self._handle.update_incremental()
            if self._handle.version() > known:
                refuse_empty(self.path / _LOG, known)
        except TableNotFoundError:
            return None
        except LIBRARY_ERRORS as error:
            self._handle = None
            raise why_unreadable(self.path / _LOG, error) from error
        except LakeError:
            self._handle = None
            raise
        return self._handle

    def _create(self) -> DeltaTable:
        with self._telling():
            self.path.mkdir(parents=True, exist_ok=True)
            root = self._root()
            try:
                self._handle = DeltaTable.create(
                    root, SCHEMA, partition_by=["topic", "partition"], configuration=_CONFIGURATION
                )
            except DeltaError as error:
                if number_of(error):
                    raise
                # somebody else made it in the meantime
                self._handle = DeltaTable(root)
        return self._handle

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Raises `LakeError` for what Delta or the file system says inside, `ConfigurationError` for one without links."""
        try:
            with writing(self.path):
                yield
        except LakeError:
            refuse_without_links(self.path)
            raise

    def _root(self) -> Path:
        """What Delta takes for the folder."""
        return plain_root(self.path, (_LOG, *(f"topic={topic}" for topic in self.topics)))

    def _commit(self, table: DeltaTable, rows: pa.Table, versions: Mapping[str, int]) -> None:
        with self._telling():
            self._write(table, rows, versions)

    def _write(self, table: DeltaTable, rows: pa.Table, versions: Mapping[str, int]) -> None:
        if shutil.disk_usage(self.path).free < rows.nbytes + _ROOM:
            # the library would panic, and leave parts behind
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        try:
            # through the handle whose positions were read, and never again on a newer table:
            # otherwise the rows of two writers would both be taken
            write_deltalake(
                table,
                rows,
                mode="append",
                writer_properties=_WRITER,
                commit_properties=CommitProperties(
                    max_commit_retries=0,
                    app_transactions=[Transaction(name, version) for name, version in versions.items()],
                ),
            )
        except CommitFailedError as error:
            if number_of(error):
                raise
            raise ConcurrentArchiveError(
                f"{self.path} was changed while records were archived: read the positions again ({error})"
            ) from error
        except DeltaError as error:
            if number_of(error):
                raise
            raise UnavailableError(f"{self.path} cannot be written: {error}") from error

    def _numbers(self, kind: str) -> dict[PartitionKey, int]:
        table = self._open()
        return {} if table is None else self._numbers_of(table, kind)

    def _numbers_of(self, table: DeltaTable, kind: str) -> dict[PartitionKey, int]:
        sources = [PartitionKey(topic, number) for topic in self.topics for number in range(_count(table, topic))]
        found = {source: table.transaction_version(_name(kind, source)) for source in sources}
        return {source: number for source, number in found.items() if number is not None}

    def _data_files(self, source: PartitionKey | None = None) -> list[_DataFile]:
        """The files that count, of one partition or of all, by first offset."""
        table = self._open()
        if table is None:
            return []
        root = self._root()
        found = []
        for add in pa.table(table.get_add_actions(flatten=True)).to_pylist():
            of = PartitionKey(add["partition.topic"], add["partition.partition"])
            if source in (None, of):
                path = str(root / add["path"])
                found.append(_DataFile(add["min.offset"], add["max.offset"], path, of, add["num_records"]))
        return sorted(found)


class _DataFile(NamedTuple):
    """A data file, its first and last offset, and how many rows it has."""

    first: int
    last: int
    path: str
    source: PartitionKey
    rows: int


def _name(kind: str, source: PartitionKey) -> str:
    return f"{kind}/{source.topic}/{source.partition}"


def _hash(identity: str) -> int:
    """63 bits, which a transaction's version has room for."""
    return int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big") >> 1


def _count(table: DeltaTable, topic: str) -> int:
    return table.transaction_version(f"partitions/{topic}") or 0


def _last_of(rows: pa.Table) -> dict[PartitionKey, tuple[int, int]]:
    """Offset and append time of the last record of each partition that the broker stamped. Rows are in offset order."""
    stamped = rows.filter(pc.not_equal(rows["append_ms"], UNSTAMPED_MS))
    last = stamped.group_by(["topic", "partition"], use_threads=False).aggregate(
        [("offset", "last"), ("append_ms", "last")]
    )
    return {
        PartitionKey(row["topic"], row["partition"]): (row["offset_last"], row["append_ms_last"])
        for row in last.to_pylist()
    }


def _in_order(table: pa.Table) -> pa.Table:
    offsets = table["offset"].to_numpy()
    return table if (offsets[1:] > offsets[:-1]).all() else table.sort_by("offset")
