"""Versions of the batch view: one atomic switch, fenced publishers, the way back."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from adapters import durable
from adapters.lake import views
from adapters.lake.manifest import Manifest
from adapters.lake.views import Failing, PublishedBeforeError, ViewStore
from core.cut import Cut
from core.errors import ConfigurationError, UnavailableError
from tests.support.events import CLICKS_0
from tests.support.shop import CELLS, SHOP

RULES = "epoch_ms=1000,horizon=1,lateness_ms=60000"


def version(number: int, **more: object) -> Manifest:
    made = Manifest(number, Cut(10 * number, {CLICKS_0: number}), RULES, "v1", "pandas", full=False, created_ms=number)
    return replace(made, **more)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> ViewStore:
    made = ViewStore(tmp_path / "views", SHOP)
    made.make()
    return made


def test_before_the_first_version_there_is_none(store: ViewStore) -> None:
    assert (store.pointer(), store.current(), store.versions(), store.next_number()) == (0, None, [], 1)


def test_a_published_version_is_current_and_comes_back_as_it_was(store: ViewStore) -> None:
    pq.write_table(CELLS.empty_table(), store.data / "cells.parquet")
    told = version(1, counters={"accepted": 3}, cells={"2026-01-01": "cells.parquet"}, quality={"passed": 1})
    store.publish(told)
    assert store.current() == told
    assert ViewStore(store.data.parent, SHOP).current() == told


def test_a_failure_is_told_with_its_beginning_until_a_cycle_goes_well(store: ViewStore) -> None:
    assert store.failing() is None
    store.tell_failure("no room", 1_000)
    store.tell_failure("version 2 covers\n0 of \x1b[31m7 rows", 5_000)
    assert ViewStore(store.data.parent, SHOP).failing() == Failing(1_000, "version 2 covers 0 of ·[31m7 rows")
    store.tell_success()
    store.tell_success()
    assert store.failing() is None
    (store.data.parent / "FAILING").write_text("{")
    assert store.failing() is None


def test_a_version_number_is_published_once(store: ViewStore) -> None:
    store.publish(version(1))
    with pytest.raises(PublishedBeforeError, match="version 1 was published by somebody else"):
        store.publish(version(1, engine="other"))
    assert store.current() == version(1)
    assert [each.name for each in store.data.parent.iterdir() if each.suffix == ".new"] == []


def test_a_version_that_was_made_and_never_became_current_is_numbered_past(
    store: ViewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.publish(version(1))
    monkeypatch.setattr(views, "write_whole", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        store.publish(version(2))
    monkeypatch.undo()
    assert store.pointer() == 1
    assert store.next_number() == 3
    store.publish(version(3))
    assert store.current() == version(3)


def test_the_way_back_and_on_again(store: ViewStore) -> None:
    for number in (1, 2):
        store.publish(version(number))
    assert store.rollback(1) == version(1)
    assert store.current() == version(1)
    assert store.next_number() == 3
    with pytest.raises(ConfigurationError, match="there is no version 7; there are: 1, 2"):
        store.rollback(7)


def test_old_versions_and_files_without_a_name_go(store: ViewStore) -> None:
    for number in range(1, 6):
        pq.write_table(CELLS.empty_table(), store.data / f"cells-{number}.parquet")
        store.publish(version(number, cells={"2026-01-01": f"cells-{number}.parquet"}))
    (store.data / "cells-6.parquet").write_text("")
    store.rollback(2)
    long_ago = time.time() - 7200
    for file in store.data.iterdir():
        if file.name != "cells-6.parquet":
            os.utime(file, (long_ago, long_ago))
    assert store.vacuum(keep=2) == 2
    assert sorted(each.name for each in store.data.iterdir()) == [f"cells-{n}.parquet" for n in (2, 4, 5, 6)]
    assert [each.version for each in store.versions()] == [2, 4, 5]


def test_readers_never_see_a_mixture(store: ViewStore) -> None:
    """Each version's numbers belong together, whoever reads while versions are switched and old ones go."""
    store.publish(version(1, counters={"accepted": 1}))
    ended = threading.Event()
    wrong: list[object] = []
    seen: set[int] = set()

    def read() -> None:
        while not ended.is_set():
            found = store.current()
            if found is None or found.counters != {"accepted": found.version} or found.cut.epoch != 10 * found.version:
                wrong.append(found)
            else:
                seen.add(found.version)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(2, 80):
        store.publish(version(number, counters={"accepted": number}))
        store.vacuum(keep=1)
    ended.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert len(seen) > 1


def test_a_pointer_to_nothing_is_told(store: ViewStore) -> None:
    store.publish(version(1))
    (store.data.parent / "v000001.json").unlink()
    with pytest.raises(
        UnavailableError, match=r"v000001\.json is damaged \(it is missing\): `fourfold recompute --full`"
    ):
        store.current()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "views").write_text("in the way")
    with pytest.raises(ConfigurationError, match="set FOURFOLD_LAKE"):
        ViewStore(tmp_path / "views", SHOP).make()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cut": 1}', '{"version": 1}'])
def test_a_manifest_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Manifest.decode(text)


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    durable.write_whole(tmp_path / "file", b"one")
    durable.write_whole(tmp_path / "file", b"two")
    assert (tmp_path / "file").read_text() == "two"
    with pytest.raises(FileExistsError):
        durable.write_new(tmp_path / "file", b"three")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
