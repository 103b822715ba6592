"""The raw table: exactly once by its transactions, in order whatever compaction did."""

import random
import re
import uuid
from itertools import pairwise
from types import SimpleNamespace

import pyarrow as pa
import pytest
from deltalake.exceptions import DeltaError

from adapters.lake import raw_table
from adapters.lake.raw_table import SCHEMA, ConcurrentArchiveError, RawTable
from adapters.lake.trouble import LakeError
from core.errors import UnavailableError
from core.position import PartitionKey
from tests.support.shop import SHOP

CLICKS = PartitionKey("clicks", 0)
SALES = PartitionKey("sales", 2)


@pytest.fixture
def table(tmp_path):
    return RawTable(tmp_path / "lake" / "raw", SHOP.topics)


def rows(source, start, end, value_bytes=20):
    """Rows of one partition; the values do not compress."""
    numbers = range(start, end)
    dice = random.Random(start)
    return pa.table(
        {
            "topic": [source.topic] * len(numbers),
            "partition": pa.array([source.partition] * len(numbers), pa.int32()),
            "offset": numbers,
            "append_ms": [number * 10 for number in numbers],
            "key": [b"k%d" % number for number in numbers],
            "value": [dice.randbytes(value_bytes) for _ in numbers],
        },
        schema=SCHEMA,
    )


def offsets(table, source, start=0, end=10**9):
    return [offset for batch in table.scan(source, start, end) for offset in batch["offset"].to_pylist()]


def test_a_table_that_is_not_there_is_empty(table):
    assert (table.positions(), table.firsts(), table.lost(), table.files(), table.version()) == ({}, {}, {}, {}, -1)
    assert offsets(table, CLICKS) == []
    table.compact()
    assert table.vacuum() == 0


def test_rows_and_positions_come_in_one_commit(table):
    both = pa.concat_tables([rows(CLICKS, 5, 8), rows(SALES, 0, 2)])
    table.append(both, {CLICKS: (5, 8), SALES: (0, 4)})
    other = RawTable(table.path, SHOP.topics)
    assert other.positions() == {CLICKS: 8, SALES: 4}
    assert other.firsts() == {CLICKS: 5, SALES: 0}
    assert other.version() == 1
    (batch,) = other.scan(CLICKS, 6, 8)
    assert batch.to_pylist() == rows(CLICKS, 5, 8).select(["offset", "append_ms", "key", "value"]).to_pylist()[1:]


def test_a_partition_may_move_without_rows_and_values_may_be_missing(table):
    table.append(SCHEMA.empty_table(), {CLICKS: (0, 3)})
    tombstone = rows(CLICKS, 3, 4).set_column(4, "key", pa.array([None], pa.binary()))
    table.append(tombstone.set_column(5, "value", pa.array([None], pa.binary())), {CLICKS: (3, 4)})
    assert table.positions() == {CLICKS: 4}
    (batch,) = table.scan(CLICKS, 0, 4)
    assert batch.to_pylist() == [{"offset": 3, "append_ms": 30, "key": None, "value": None}]


def test_where_there_is_no_room_nothing_is_begun_and_it_is_said(table, monkeypatch, capfd):
    table.append(rows(CLICKS, 0, 2), {CLICKS: (0, 2)})
    files = sorted(table.path.rglob("*"))
    with monkeypatch.context() as patch:
        patch.setattr(raw_table.shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 17))
        with pytest.raises(LakeError, match=r"^no room is left in .*raw \(No space left on device\): free some"):
            table.append(rows(CLICKS, 2, 4), {CLICKS: (2, 4)})
    assert sorted(table.path.rglob("*")) == files
    table.append(rows(CLICKS, 2, 4), {CLICKS: (2, 4)})
    assert offsets(table, CLICKS) == [0, 1, 2, 3]
    assert capfd.readouterr().err == ""


def test_of_two_writers_with_the_same_positions_one_is_refused(table, monkeypatch):
    table.append(rows(CLICKS, 0, 2), {CLICKS: (0, 2)})
    slow = RawTable(table.path, SHOP.topics)
    assert slow.positions() == {CLICKS: 2}
    # it has looked at the table for the last time before the other one writes
    monkeypatch.setattr(slow, "_open", lambda: slow._handle)
    table.append(rows(CLICKS, 2, 4), {CLICKS: (2, 4)})
    with pytest.raises(ConcurrentArchiveError, match="was changed"):
        slow.append(rows(CLICKS, 2, 4), {CLICKS: (2, 4)})
    # also with another partition: its handle is old
    with pytest.raises(ConcurrentArchiveError, match="was changed"):
        slow.append(rows(SALES, 0, 4), {SALES: (0, 4)})
    assert offsets(table, CLICKS) == [0, 1, 2, 3]
    monkeypatch.undo()
    slow.append(rows(CLICKS, 4, 5), {CLICKS: (4, 5)})
    assert offsets(table, CLICKS) == [0, 1, 2, 3, 4]


def test_of_two_makers_of_the_table_both_find_it(tmp_path, monkeypatch):
    first, second = RawTable(tmp_path, SHOP.topics), RawTable(tmp_path, SHOP.topics)
    monkeypatch.setattr(second, "_open", lambda: second._handle)
    first.append(rows(CLICKS, 0, 2), {CLICKS: (0, 2)})
    with pytest.raises(ConcurrentArchiveError, match=r"archived up to 2 .*, not 0"):
        second.append(rows(CLICKS, 0, 2), {CLICKS: (0, 2)})


@pytest.mark.parametrize("old", [0, 1, 3])
def test_another_position_than_the_table_s_is_refused(table, old):
    table.append(rows(CLICKS, 0, 2), {CLICKS: (0, 2)})
    with pytest.raises(ConcurrentArchiveError, match=re.escape(f"clicks:0 is archived up to 2 in {table.path}, not")):
        table.append(rows(CLICKS, old, old + 2), {CLICKS: (old, old + 2)})
    assert table.positions() == {CLICKS: 2}
    assert offsets(table, CLICKS) == [0, 1]


def test_an_accepted_loss_is_kept_and_adds_up(table):
    table.append(rows(CLICKS, 0, 2), {CLICKS: (0, 2), SALES: (0, 0)})
    table.append(SCHEMA.empty_table(), {CLICKS: (2, 10)}, {CLICKS: 8})
    table.append(rows(CLICKS, 13, 14), {CLICKS: (10, 14)}, {CLICKS: 3})
    assert table.lost() == {CLICKS: 11}
    assert table.positions() == {CLICKS: 14, SALES: 0}
    assert table.firsts() == {CLICKS: 0, SALES: 0}


def test_a_scan_is_in_order_and_complete_after_compactions(table, monkeypatch):
    monkeypatch.setattr(raw_table, "COMPACT_BYTES", 100_000)
    dice = random.Random(4)
    at = 0
    for step in range(40):
        count = dice.choice([1, 20, 300, 1200])
        table.append(rows(CLICKS, at, at + count, 100), {CLICKS: (at, at + count)})
        at += count
        if step % 7 == 6:
            table.compact()
    files = table._data_files(CLICKS)
    assert len(files) < 30
    # what makes the scan more than a list of files
    assert any(file.last > following.first for file, following in pairwise(files))
    assert offsets(table, CLICKS) == list(range(at))
    for start, end in [(0, 1), (at - 1, at), (777, at - 777), (5, 5), (at, at + 5)]:
        assert offsets(table, CLICKS, start, end) == list(range(start, min(end, at)))
    assert table.positions() == {CLICKS: at}


def test_files_that_no_commit_names_are_not_read_and_vacuumed(table):
    table.append(rows(CLICKS, 0, 3), {CLICKS: (0, 3)})
    ((named,),) = table.files().values()
    folder = table.path / "topic=clicks" / "partition=0"
    (folder / f"part-00000-{uuid.uuid4()}-c000.zstd.parquet").write_bytes((folder / named).read_bytes())
    (folder / "part-00001-torn.zstd.parquet#1").write_bytes(b"PAR1")
    assert offsets(table, CLICKS) == [0, 1, 2]
    assert list(table.files().values()) == [[named]]
    # another writer may be about to commit them
    assert table.vacuum() == 0
    assert table.vacuum(alone=True) == 2
    assert [str(file) for file in folder.iterdir()] == [named]
    assert offsets(table, CLICKS) == [0, 1, 2]


def test_positions_survive_compaction_vacuum_and_checkpoints(table):
    for at in range(0, 10, 2):
        table.append(rows(CLICKS, at, at + 2), {CLICKS: (at, at + 2)}, {CLICKS: 0 if at else 7})
    table.compact()
    assert table.vacuum(alone=True) == 5
    table._open().create_checkpoint()
    for entry in sorted(table.path.glob("_delta_log/*.json"))[:-2]:
        entry.unlink()
    other = RawTable(table.path, SHOP.topics)
    assert (other.positions(), other.firsts(), other.lost()) == ({CLICKS: 10}, {CLICKS: 0}, {CLICKS: 7})
    assert offsets(other, CLICKS) == list(range(10))


def test_a_disk_that_is_full_is_said_and_what_was_archived_stays(table, monkeypatch):
    table.append(rows(CLICKS, 0, 5), {CLICKS: (0, 5)})

    def full(*_, **__):
        raise DeltaError("Generic LocalFileSystem error: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(raw_table, "write_deltalake", full)
        with pytest.raises(UnavailableError, match=r"raw cannot be written: .*No space left"):
            table.append(rows(CLICKS, 5, 8), {CLICKS: (5, 8)})
    assert table.positions() == {CLICKS: 5}
    table.append(rows(CLICKS, 5, 8), {CLICKS: (5, 8)})
    assert offsets(table, CLICKS) == list(range(8))
