"""A batch cycle: the order of its steps is what makes a merged answer exact."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from adapters.lake.manifest import Manifest
from adapters.lake.views import Failing, PublishedBeforeError, ViewStore
from batch.archive import ArchiveReport
from batch.cycle import Cycle, QualityError
from core.cut import Cut
from core.errors import InexactError, UnavailableError
from core.position import PartitionKey
from tests.support.events import CLICKS_0
from tests.support.shop import SHOP

RULES = "epoch_ms=1000,horizon=1,lateness_ms=60000"


class World:
    """Every step as a fake that says what it did, and when."""

    def __init__(self, path: Path, *, with_floor: bool = True) -> None:
        self.did: list[str] = []
        self.epoch = 10
        self.forbidding: list[str] = []
        self.away = ""
        self.incomplete = ""
        self.views = ViewStore(path, SHOP)
        self.cycle = Cycle(
            self.find_cut,
            self,  # type: ignore[arg-type]
            self,  # type: ignore[arg-type]
            self.views,
            self.check,
            self if with_floor else None,
            complete=self.look,
            wall=lambda: 5.0,
            clock=lambda: 0.0,
        )

    def find_cut(self) -> Cut:
        return Cut(self.epoch, {CLICKS_0: self.epoch * 100})

    def run(self, subject: Any, *arguments: Any, **more: Any) -> Any:
        """Archive and engine have one name for what they do."""
        return self.recompute(subject, *arguments, **more) if isinstance(subject, Cut) else self.archive(subject)

    def archive(self, vector: Mapping[PartitionKey, int]) -> ArchiveReport:
        self.did.append(f"archive {vector[CLICKS_0]}")
        return ArchiveReport(7, 0, vector)

    def tidy(self) -> None:
        self.did.append("tidy")

    def recompute(self, cut: Cut, previous: Manifest | None, *, version: int, created_ms: int, full: bool) -> Manifest:
        self.did.append(f"recompute {version} from {previous.version if previous else 0}{' full' if full else ''}")
        return Manifest(version, cut, RULES, "v1", "pandas", full, created_ms)

    def check(self, manifest: Manifest) -> tuple[dict[str, Any], list[str]]:
        self.did.append(f"check {manifest.version}")
        return {"passed": 1}, self.forbidding

    def look(self, manifest: Manifest) -> None:
        if self.incomplete:
            raise InexactError(self.incomplete)
        self.did.append(f"look at {manifest.version}")

    def raise_floor(self, floor: int) -> None:
        if self.away:
            raise UnavailableError(self.away)
        self.did.append(f"floor {floor} with version {self.views.pointer()}")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "views")


def test_the_first_version_raises_no_floor(world: World) -> None:
    report = world.cycle.run()
    assert world.did == ["archive 1000", "recompute 1 from 0", "look at 1", "check 1"]
    assert world.views.current() == report.version
    assert report.version is not None
    assert (report.version.quality, report.version.created_ms, report.archived) == ({"passed": 1}, 5_000, 7)


def test_the_floor_rises_after_the_publication_to_the_cut_of_the_version_before(world: World) -> None:
    world.cycle.run()
    world.did.clear()
    world.epoch = 16
    world.cycle.run()
    assert world.did == ["archive 1600", "recompute 2 from 1", "look at 2", "check 2", "floor 10 with version 2"]


def test_while_no_epoch_has_ended_nothing_is_done(world: World) -> None:
    world.cycle.run()
    world.did.clear()
    assert world.cycle.run().version is None
    world.epoch = 9
    assert world.cycle.run().version is None
    assert world.did == []


def test_in_full_it_is_done_all_the_same_at_the_old_cut(world: World) -> None:
    world.cycle.run()
    world.did.clear()
    world.epoch = 9
    report = world.cycle.run(full=True)
    assert world.did == ["archive 1000", "recompute 2 from 1 full", "look at 2", "check 2", "floor 10 with version 2"]
    assert report.version is not None
    assert report.version.cut.epoch == 10


def test_a_version_that_covers_too_little_is_not_published(world: World) -> None:
    world.cycle.run()
    world.epoch = 16
    world.incomplete = "version 2 covers 0 of 7 raw rows"
    with pytest.raises(InexactError, match="covers 0 of 7"):
        world.cycle.run()
    assert world.views.pointer() == 1
    assert world.did[-1] == "recompute 2 from 1"


def test_readers_are_told_why_no_version_comes_until_one_does(world: World) -> None:
    world.incomplete = "version 1 covers 0 of 7 raw rows"
    with pytest.raises(InexactError):
        world.cycle.run()
    assert world.views.failing() == Failing(5_000, "version 1 covers 0 of 7 raw rows")
    world.incomplete = ""
    world.archive = lambda _: 1 / 0  # type: ignore[assignment]
    with pytest.raises(ZeroDivisionError):
        world.cycle.run()
    assert world.views.failing() == Failing(5_000, "ZeroDivisionError: division by zero")
    del world.archive
    world.cycle.run()
    assert world.views.failing() is None


def test_a_disk_that_is_full_is_said_and_the_next_cycle_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(world, "recompute", write)
        with pytest.raises(UnavailableError, match=r"no room is left in .*No space left"):
            world.cycle.run()
    failing = world.views.failing()
    assert failing is not None
    assert "No space left" in failing.reason
    assert world.cycle.run().version is not None


def test_a_rule_that_forbids_the_publication_leaves_the_old_version(world: World) -> None:
    world.cycle.run()
    world.epoch = 16
    world.forbidding = ["most records are accepted: no"]
    with pytest.raises(QualityError, match="version 2 is not published, the one before stays: most records"):
        world.cycle.run()
    assert world.views.pointer() == 1
    assert not any(step.startswith("floor") for step in world.did)


def test_a_store_that_is_away_leaves_the_version_published_and_the_next_cycle_goes_on(world: World) -> None:
    world.cycle.run()
    world.epoch, world.away = 16, "Redis is away"
    with pytest.raises(UnavailableError):
        world.cycle.run()
    assert world.views.pointer() == 2
    world.epoch, world.away = 20, ""
    world.cycle.run()
    assert world.did[-1] == "floor 16 with version 3"


def test_after_a_rollback_it_goes_on_from_there(world: World) -> None:
    for epoch in (10, 16):
        world.epoch = epoch
        world.cycle.run()
    world.views.rollback(1)
    world.did.clear()
    world.epoch = 20
    world.cycle.run()
    assert world.did == ["archive 2000", "recompute 3 from 1", "look at 3", "check 3", "floor 10 with version 3"]


def test_a_second_publisher_is_fenced_off(world: World, tmp_path: Path) -> None:
    other = World(tmp_path / "views")
    recompute = world.recompute

    def slow(cut: Cut, previous: Manifest | None, **more: Any) -> Manifest:
        made = recompute(cut, previous, **more)
        other.cycle.run()
        return made

    world.recompute = slow  # type: ignore[method-assign]
    with pytest.raises(PublishedBeforeError):
        world.cycle.run()
    assert other.views.pointer() == 1


def test_without_a_speed_view_there_is_no_floor(tmp_path: Path) -> None:
    world = World(tmp_path / "views", with_floor=False)
    for epoch in (10, 16):
        world.epoch = epoch
        world.cycle.run()
    assert not any(step.startswith("floor") for step in world.did)


def test_small_files_are_gathered_now_and_then(world: World) -> None:
    for epoch in range(10, 21):
        world.epoch = epoch
        world.cycle.run()
    assert world.did.count("tidy") == 1
