"""What a crash leaves of Redis' append-only files is mended where it is an end, and refused in one line otherwise."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adapters.embedded.append_only import FOLDER, mend
from adapters.embedded.redis_binary import RedisBinary
from core.errors import UnavailableError

BINARY = RedisBinary.find().path
#: A snapshot of nothing: format 9, its end, no checksum.
EMPTY_RDB = b"REDIS0009\xff" + bytes(8)
TORN = b"*3\r\n$3\r\nSET\r\n$4\r\ntorn\r\n$100\r\nhalf of"


def set_(key: str) -> bytes:
    return b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$1\r\n1\r\n" % (len(key), key.encode())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A base and two increments, as a crash in the middle of a rewrite leaves them."""
    folder = tmp_path / FOLDER
    folder.mkdir()
    parts = {"2.base.rdb": EMPTY_RDB, "2.incr.aof": set_("a") + set_("b"), "3.incr.aof": set_("c")}
    for name, content in parts.items():
        (folder / f"appendonly.aof.{name}").write_bytes(content)
    lines = (f"file appendonly.aof.{name} seq {name[0]} type {name[2]}\n" for name in parts)
    (folder / "appendonly.aof.manifest").write_text("".join(lines))
    return folder


def part(folder: Path, name: str) -> Path:
    return folder / f"appendonly.aof.{name}"


def test_whole_files_stay_as_they_are(folder: Path) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert not mend(folder.parent, BINARY)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.parametrize("damage", [TORN, bytes(64)], ids=["torn", "zeros"])
def test_the_torn_end_of_the_last_increment_is_cut_off(folder: Path, damage: bytes) -> None:
    with part(folder, "3.incr.aof").open("ab") as file:
        file.write(damage)
    assert mend(folder.parent, BINARY)
    assert part(folder, "3.incr.aof").read_bytes() == set_("c")
    assert not mend(folder.parent, BINARY)


def test_damage_in_the_middle_of_the_last_increment_cuts_off_all_after_it(folder: Path) -> None:
    part(folder, "3.incr.aof").write_bytes(set_("c") + bytes(16) + set_("d"))
    assert mend(folder.parent, BINARY)
    assert part(folder, "3.incr.aof").read_bytes() == set_("c")


def test_what_was_added_to_a_torn_increment_is_dropped_with_it(folder: Path) -> None:
    whole = part(folder, "2.incr.aof").stat().st_size
    os.truncate(part(folder, "2.incr.aof"), whole - 5)
    assert mend(folder.parent, BINARY)
    assert part(folder, "2.incr.aof").read_bytes() == set_("a")
    assert not part(folder, "3.incr.aof").exists()
    assert "3.incr" not in part(folder, "manifest").read_text()
    assert not mend(folder.parent, BINARY)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("2.base.rdb", EMPTY_RDB[:12], "not sane"),
        # the checker, and Redis, would take these for good, and count from nothing
        ("2.base.rdb", b"", "it is empty"),
        ("2.base.rdb", None, "No such file"),
        ("2.incr.aof", None, "No such file"),
        ("manifest", None, "it is missing, and its parts are there"),
        ("manifest", b"", "it is empty"),
        ("manifest", b"file appendonly.aof.2.base.rdb seq 2 type b\nfile appendonly.aof.2.in", "AOF manifest"),
        ("manifest", bytes(80), "it is empty"),
    ],
)
def test_more_than_an_end_is_refused_in_one_line(folder: Path, name: str, content: bytes | None, why: str) -> None:
    if content is None:
        part(folder, name).unlink()
    else:
        part(folder, name).write_bytes(content)
    with pytest.raises(UnavailableError) as caught:
        mend(folder.parent, BINARY)
    said = str(caught.value)
    assert why in said
    assert f"remove the directory {folder} and start again" in said
    assert "\n" not in said


def test_what_the_very_first_start_leaves_when_it_is_killed_is_no_damage(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir()
    part(folder, "1.base.rdb").write_bytes(EMPTY_RDB)
    part(folder, "1.incr.aof").touch()
    assert not mend(tmp_path, BINARY)


def test_the_one_file_of_an_older_redis_is_mended(tmp_path: Path) -> None:
    file = tmp_path / "appendonly.aof"
    file.write_bytes(EMPTY_RDB + set_("a") + TORN)
    assert mend(tmp_path, BINARY)
    assert file.read_bytes() == EMPTY_RDB + set_("a")


@pytest.mark.parametrize("moved", [False, True])
def test_a_takeover_of_the_one_file_that_was_killed_goes_on(tmp_path: Path, moved: bool) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir()
    part(folder, "manifest").write_text("file appendonly.aof seq 1 type b\n")
    file = (folder if moved else tmp_path) / "appendonly.aof"
    file.write_bytes(EMPTY_RDB + set_("a"))
    assert not mend(tmp_path, BINARY)


def test_an_empty_file_of_an_older_redis_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "appendonly.aof").touch()
    assert not mend(tmp_path, BINARY)
