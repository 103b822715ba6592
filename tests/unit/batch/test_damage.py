"""What a disk, a synchronizer or a person does to the lake: one line, the old version answers, and it goes on when mended."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters import durable
from adapters.lake.batch_view import BatchViews
from adapters.lake.raw_table import RawTable
from adapters.lake.trouble import DamagedRawError, DamagedViewError, LakeError
from adapters.lake.views import ViewStore
from batch.cycle import Engine
from batch.duckdb_engine import DuckdbRecompute
from batch.quality_gate import QualityGate
from batch.quality_rules import read_rules
from batch.recompute import Recompute
from core.cells import Cells
from core.errors import ConfigurationError, UnavailableError
from tests.support.batch_world import HALF, BatchWorld
from tests.support.shop import SHOP

#: What synchronizers, file managers, NFS and office programs leave.
STRANGERS = (".DS_Store", "desktop.ini", "Thumbs.db", ".nfs0000000000a1", "~$x", ".~lock.x#", "x.tmp", ".stfolder")
COPIES = ("{} (conflicted copy 2026-11-27){}", "{} (1){}", "{}.sync-conflict-20261127-101010-ABCDEFG{}", "._{}{}")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with a first version."""
    folder = tmp_path_factory.mktemp("made")
    world = BatchWorld(folder)
    world.cut = HALF
    world.run(Recompute)
    return folder


@pytest.fixture
def world(tmp_path: Path, made: Path) -> BatchWorld:
    shutil.copytree(made, tmp_path / "lake")
    return BatchWorld(tmp_path / "lake")


def cells(store: ViewStore) -> Cells:
    view = BatchViews(store, SHOP).current()
    assert view is not None
    return view.cells()


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Cells:
    """What a lake that nobody touched says."""
    made = BatchWorld(tmp_path_factory.mktemp("right"))
    made.run(Recompute)
    return cells(made.views)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def away(path: Path) -> None:
    path.unlink()


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES = [
    *((what, damage) for what in ("data/cells-*", "v000001.json", "CURRENT") for damage in (empty, half, away)),
    ("data/cells-*", folder_instead),
    ("data/users-*", half),
    ("data/ids-*", away),
]


@pytest.mark.parametrize(("what", "damage"), DAMAGES, ids=lambda part: getattr(part, "__name__", part))
def test_a_batch_view_that_is_damaged_is_counted_again(
    world: BatchWorld, right: Cells, what: str, damage: Callable[[Path], None]
) -> None:
    reader = BatchViews(world.views, SHOP)
    before = reader.current()
    file = next(world.views.folder.glob(what))
    damage(file)
    assert reader.current() is before
    if what.startswith(("data/cells", "v0")) or (what == "CURRENT" and damage is not away):
        with pytest.raises(UnavailableError, match=r"is damaged \(.*\): `fourfold recompute --full`") as caught:
            BatchViews(world.views, SHOP).current()
        assert str(file) in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
    if damage is folder_instead:
        # nobody can write there until it is gone
        file.rmdir()
    assert world.run(Recompute).version == 2
    assert cells(world.views) == right
    after = reader.current()
    assert after is not None
    assert after.cells() == right
    assert reader.failing() is None


def test_a_pointer_that_is_missing_beside_versions_is_told(world: BatchWorld) -> None:
    world.run(Recompute)
    (world.views.folder / "CURRENT").unlink()
    with pytest.raises(UnavailableError, match=r"CURRENT is damaged \(it is missing\)"):
        BatchViews(world.views, SHOP).current()


def test_a_reader_says_why_it_shows_an_old_version(world: BatchWorld) -> None:
    reader = BatchViews(world.views, SHOP)
    reader.current()
    empty(world.views.folder / "CURRENT")
    reader.current()
    failing = reader.failing()
    assert failing is not None
    assert "CURRENT is damaged (it holds no number)" in failing.reason


def test_nobody_goes_back_to_a_version_that_is_damaged(world: BatchWorld) -> None:
    first = world.views.manifest(1)
    world.run(Recompute, full=True)
    half(world.views.data / next(iter(first.users.values())))
    with pytest.raises(DamagedViewError, match=r"users-.* is damaged"):
        world.views.rollback(1)
    assert world.views.pointer() == 2
    empty(world.views.folder / "v000001.json")
    assert [version.version for version in world.views.versions()] == [2]
    with pytest.raises(DamagedViewError, match=r"v000001\.json is damaged \(it is no manifest\)"):
        world.views.rollback(1)


@pytest.mark.parametrize(
    ("engine", "damage"), [(Recompute, empty), (Recompute, half), (Recompute, away), (DuckdbRecompute, half)]
)
def test_a_raw_file_that_is_damaged_is_named_and_it_goes_on_when_it_is_back(
    world: BatchWorld, right: Cells, engine: Callable[..., Engine], damage: Callable[[Path], None]
) -> None:
    old = cells(world.views)
    file = Path(next(iter(world.raw.files().values()))[0])
    copy = shutil.copy(file, file.parent / "copy")
    damage(file)
    with pytest.raises(DamagedRawError, match="put it back from a copy, or begin another archive") as caught:
        world.run(engine, full=True)
    assert str(file) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    failing = world.views.failing()
    assert failing is not None
    assert failing.reason == str(caught.value)
    assert cells(world.views) == old
    Path(copy).replace(file)
    world.run(engine)
    assert cells(world.views) == right
    assert world.views.failing() is None


@pytest.mark.parametrize("damage", [empty, half], ids=lambda d: d.__name__)
@pytest.mark.parametrize("fresh", [True, False])
def test_half_a_commit_is_told_and_gone_on_without(
    world: BatchWorld, damage: Callable[[Path], None], fresh: bool
) -> None:
    whole = world.raw.positions()
    commits = sorted((world.raw.path / "_delta_log").glob("*.json"))
    damage(commits[-1])
    table = RawTable(world.raw.path, SHOP.topics) if fresh else world.raw
    with pytest.raises(DamagedRawError, match=r"\.json is damaged \(it .*\): move it out of that folder") as caught:
        table.positions()
    assert str(commits[-1]) in str(caught.value)
    commits[-1].unlink()
    before = table.positions()
    assert before != whole
    assert all(before[source] <= whole[source] for source in before)
    commit = commits[-2].read_bytes()
    for torn in (b"", commit[:100]):
        commits[1].write_bytes(torn)
        with pytest.raises(DamagedRawError, match="put it back from a copy"):
            RawTable(world.raw.path, SHOP.topics).positions()
    commits[1].unlink()
    with pytest.raises(DamagedRawError, match=rf"{commits[1].name} is damaged \(it is missing\)"):
        RawTable(world.raw.path, SHOP.topics).positions()


def test_files_of_others_neither_count_nor_go(world: BatchWorld, right: Cells) -> None:
    folders = [world.views.folder, world.views.data, world.raw.path, world.raw.path / "_delta_log"]
    folders += [Path(files[0]).parent for files in world.raw.files().values()][:1]
    left = [folder / name for folder in folders for name in STRANGERS]
    for file in [world.views.folder / "v000001.json", world.views.folder / "CURRENT", *world.views.data.glob("*.parquet"),
                 *(world.raw.path / "_delta_log").glob("*.json"), *map(Path, next(iter(world.raw.files().values())))]:  # fmt: skip
        left += [file.with_name(copy.format(file.stem, file.suffix)) for copy in COPIES]
    left.append(world.views.data / "spill-x")
    for file in left:
        file.write_bytes(b"PAR1 no more than that")
        os.utime(file, (0, 0))
    assert world.run(Recompute).version == 2
    assert world.run(DuckdbRecompute, full=True).version == 3
    assert cells(world.views) == right
    world.raw.compact()
    assert world.raw.vacuum(alone=True) > 0
    world.views.vacuum(keep=1)
    assert world.run(Recompute, full=True).version == 4
    assert cells(world.views) == right
    assert [file for file in left if not file.exists()] == []


@pytest.mark.parametrize(
    ("number", "said", "where"),
    [
        (errno.ENOSPC, "no room is left in", "adapters.durable._write"),
        (errno.ENOSPC, "no room is left in", "tempfile.mkdtemp"),
        (errno.EDQUOT, "no room is left in", "batch.day_files.write_parquet"),
        (errno.EROFS, "cannot be written (Read-only file system)", "adapters.durable._write"),
        (errno.EACCES, "cannot be written (Permission denied)", "tempfile.mkdtemp"),
        (errno.EIO, "cannot be written (Input/output error)", "batch.day_files.write_parquet"),
    ],
)
def test_a_lake_that_cannot_be_written_is_told_and_it_goes_on_when_it_can(
    world: BatchWorld, right: Cells, monkeypatch: pytest.MonkeyPatch, number: int, said: str, where: str
) -> None:
    old = cells(world.views)

    def refuse(*arguments: object, **_: object) -> None:
        # the folder for temporary files is another disk
        if arguments and str(world.views.folder.parent) not in str(arguments[0]):
            return write(*arguments)  # type: ignore[arg-type]
        raise OSError(number, os.strerror(number))

    write = durable._write
    with monkeypatch.context() as patch:
        patch.setattr(where, refuse)
        with pytest.raises(LakeError) as caught:
            world.run(Recompute)
        assert said in str(caught.value)
        assert str(world.views.folder) in str(caught.value)
        failing = world.views.failing()
        assert failing is not None
        assert said in failing.reason
        assert cells(world.views) == old
    world.run(Recompute)
    assert cells(world.views) == right
    assert world.views.failing() is None


def test_a_file_system_without_hard_links_is_refused(world: BatchWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", full)
        ViewStore(world.views.folder, SHOP).make()
        with pytest.raises(LakeError, match="no room is left"):
            world.run(Recompute)
    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(ConfigurationError, match=r"file system without hard links .*: set FOURFOLD_LAKE"):
        ViewStore(world.views.folder, SHOP).make()
    with pytest.raises(ConfigurationError, match=r"file system without hard links .*: set FOURFOLD_LAKE"):
        world.run(Recompute)


def test_rules_that_somebody_breaks_while_it_runs_are_told_and_waited_for(world: BatchWorld, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("[[rule]")
    gate = QualityGate(world.raw, world.views.data, lambda: read_rules(rules), lambda: 0.0, SHOP)
    manifest = world.views.manifest(1)
    with pytest.raises(ConfigurationError, match="not TOML"):
        gate(manifest)
    rules.write_text("rule = []")
    gate(manifest)
    for broken in ("[[rule]", "\0", "rule = [{}]"):
        rules.write_text(broken)
        with pytest.raises(UnavailableError, match=r"quality rules .* nothing is published until then") as caught:
            gate(manifest)
        assert not isinstance(caught.value, ConfigurationError)
    rules.unlink()
    with pytest.raises(UnavailableError, match="cannot be read"):
        gate(manifest)
    rules.write_text("rule = []")
    gate(manifest)
