"""Workers: so many as are wanted, of each version of the job that is registered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.speed.jobs import JobBook
from adapters.speed.port import Job
from core.errors import UnavailableError
from modes.settings import Settings
from modes.supervisor import Child
from modes.workers import LOOK_EVERY_S, Workers

V1, V2 = Job("v1", "standard", 1), Job("v2", "price-only", 2)


class Staff:
    """In the place of a supervisor: who works, and with what in the environment."""

    def __init__(self) -> None:
        self.children: dict[str, Child] = {}

    def start(self, name: str, arguments: Any, log_file: Path | None, *, more: Any) -> Child:
        assert arguments[0] == "process"
        self.children[name] = Child(name, arguments, log_file, more, state="running")
        return self.children[name]

    def dismiss(self, child: Child) -> None:
        del self.children[child.name]


class Registry:
    """Job versions, as given. `lost`: the store comes back empty."""

    def __init__(self) -> None:
        self.book = JobBook()
        self.away = False

    def ensure(self, job: Job) -> JobBook:
        self._check()
        if not self.book.jobs:
            self.book = JobBook({job.name: job}, job.name)
        return self.book

    def restore(self, known: JobBook) -> JobBook:
        self._check()
        if not self.book.jobs:
            self.book = known
        return self.book

    def _check(self) -> None:
        if self.away:
            raise UnavailableError("away")


class World:
    def __init__(self, workers: int = 1, registry: Registry | None = None) -> None:
        self.now = 0.0
        self.staff = Staff()
        self.registry = registry
        settings = Settings(mode="kappa", workers=workers, group="g", _env_file=None)
        self.workers = Workers(settings, self.staff, registry, Path("logs"), clock=lambda: self.now, wall=lambda: 5.0)

    def names(self) -> list[str]:
        self.now += LOOK_EVERY_S
        self.workers.tick()
        return sorted(self.staff.children)


def test_without_versions_there_are_so_many_as_set_and_each_is_one():
    assert World(1).names() == ["process"]
    world = World(2)
    assert world.names() == ["process-1", "process-2"]
    assert {child.environment["FOURFOLD_WORKERS"] for child in world.staff.children.values()} == {"1"}


def test_the_first_version_is_registered_with_the_logic_that_is_set():
    registry = Registry()
    assert World(2, registry).names() == ["process-v1-1", "process-v1-2"]
    assert registry.book == JobBook({"v1": Job("v1", "standard", 5000)}, "v1")


def test_each_version_has_workers_with_its_view_and_its_logic():
    registry = Registry()
    registry.book = JobBook({"v1": V1, "v2": V2}, "v1")
    world = World(1, registry)
    assert world.names() == ["process-v1", "process-v2"]
    child = world.staff.children["process-v2"]
    assert child.arguments == ["process", "--job", "v2"]
    assert child.environment == {"FOURFOLD_WORKERS": "1", "FOURFOLD_LOGIC": "price-only"}
    assert child.log_file == Path("logs/process-v2.log")


def test_a_version_that_comes_is_begun_and_one_that_goes_is_ended_the_others_go_on():
    registry = Registry()
    world = World(1, registry)
    assert world.names() == ["process-v1"]
    first = world.staff.children["process-v1"]
    registry.book = JobBook({"v1": first_job(registry), "v2": V2}, "v1")
    assert world.names() == ["process-v1", "process-v2"]
    registry.book = JobBook({"v1": first_job(registry)}, "v1")
    assert world.names() == ["process-v1"]
    assert world.staff.children["process-v1"] is first


def test_a_version_that_is_started_again_under_its_name_has_another_worker():
    registry = Registry()
    world = World(registry=registry)
    registry.book = JobBook({"v1": V1, "v2": V2}, "v1")
    world.names()
    first, one = world.staff.children["process-v1"], world.staff.children["process-v2"]
    registry.book = JobBook({"v1": V1, "v2": Job("v2", "standard", 3)}, "v1")
    assert world.names() == ["process-v1", "process-v2"]
    again = world.staff.children["process-v2"]
    assert again is not one
    assert again.environment["FOURFOLD_LOGIC"] == "standard"
    assert world.staff.children["process-v1"] is first


def test_a_registry_that_is_away_changes_nothing_and_one_that_was_lost_is_written_back():
    registry = Registry()
    registry.book = JobBook({"v1": V1, "v2": V2}, "v2", "v1")
    world = World(1, registry)
    assert world.names() == ["process-v1", "process-v2"]
    registry.away = True
    assert world.names() == ["process-v1", "process-v2"]
    registry.away, registry.book = False, JobBook()
    assert world.names() == ["process-v1", "process-v2"]
    assert registry.book == JobBook({"v1": V1, "v2": V2}, "v2", "v1")


@pytest.mark.parametrize(("state", "gone"), [("failed", True), ("running", False)])
def test_a_worker_that_cannot_go_on_is_looked_after_at_once(state, gone):
    registry = Registry()
    registry.book = JobBook({"v1": V1, "v2": V2}, "v1")
    world = World(1, registry)
    world.names()
    world.staff.children["process-v2"].state = state
    registry.book = JobBook({"v1": V1}, "v1")
    world.workers.tick()
    assert ("process-v2" not in world.staff.children) is gone


def first_job(registry: Registry) -> Job:
    return registry.book.jobs["v1"]
