"""Reprocessing: a further version of the job from the log's beginning, compared, switched to, or given up."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from adapters.speed.jobs import JobBook, no_version
from adapters.speed.keys import view_of
from adapters.speed.port import Job, Snapshot
from adapters.speed.redis_reader import RedisReader
from core.errors import ConfigurationError, InexactError, UnavailableError
from core.position import PartitionKey, Position, Vector
from modes.pipelines import pipeline_of
from modes.settings import Settings
from modes.wiring.kafka import cut_finder, ends_source
from modes.wiring.speed import jobs, redis_client, rollup_of_view
from serving.version_diff import VersionDiff, version_diff

LOOK_EVERY_S: Final = 0.5
#: Rates are means over so many looks.
_RATE_LOOKS: Final = 10
#: A version that does not move for so long, and has not arrived, has no worker.
QUIET_S: Final = 30.0
#: A switch waits so long for a version that is only moments behind.
LEVEL_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a version is. `counted` and `total`: offsets since the log's beginning; `rate`: a second."""

    counted: int
    total: int
    rate: float
    seconds: float
    arrived: bool

    @property
    def lag(self) -> int:
        """Offsets to go."""
        return max(0, self.total - self.counted)

    @property
    def left_s(self) -> float | None:
        """Seconds to go; None while that cannot be told."""
        return self.lag / self.rate if self.rate else None


class Replay:
    """Acts on the versions of the job. A context manager.

    Methods raise `UnavailableError` where Redis or Kafka is away, `ConfigurationError` for what cannot be done.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises `ConfigurationError` in a mode without job versions."""
        if not settings.mode_row.job_versions:
            raise ConfigurationError(
                f"the mode {settings.mode} has one version of its view: reprocessing is for FOURFOLD_MODE=kappa"
            )
        self._settings = settings
        self._clock = clock
        self._jobs = jobs(settings)
        self._ends = ends_source(settings)

    def book(self) -> JobBook:
        """The versions there are."""
        return self._jobs.read()

    def start(self, name: str, logic: str) -> Job:
        """Registers a version; the workers' host begins with it by itself."""
        if not self.book().jobs:
            raise UnavailableError("no version of the job runs yet: start with `fourfold up` (or `fourfold process`)")
        job = Job(name, pipeline_of(self._settings.model_copy(update={"logic": logic})).logic, int(time.time() * 1000))
        self._jobs.start(job)
        return job

    def follow(self, name: str, pause: Callable[[float], object] = time.sleep) -> Iterator[Progress]:
        """Looks at a version until it has arrived at the log's end as it was at the look before."""
        began = moved_at = self._clock()
        looks: deque[tuple[float, int]] = deque(maxlen=_RATE_LOOKS)
        before: Vector = {}
        while True:
            positions, ends = self._jobs.positions(name), self._ends()
            now, counted = self._clock(), _counted(positions)
            if looks and counted != looks[-1][1]:
                moved_at = now
            looks.append((now, counted))
            arrived = bool(before) and all(source in positions for source in before)
            arrived = arrived and all(positions[source].next >= end for source, end in before.items())
            yield Progress(counted, counted + _lag(positions, ends), _rate(looks), now - began, arrived)
            if arrived:
                return
            if now - moved_at > QUIET_S:
                raise UnavailableError(
                    f"version {name} has not moved for {QUIET_S:g} s: no worker counts for it; is `fourfold up` "
                    "(or `fourfold process`) running? It goes on by itself from where it stands"
                )
            before = ends
            pause(LOOK_EVERY_S)

    def diff(self, before: str, after: str) -> tuple[VersionDiff, Mapping[PartitionKey, int]]:
        """The difference of two versions, and the offsets at which they were compared."""
        book = self.book()
        for name in (before, after):
            if name not in book.jobs:
                raise no_version(name, book)
        one, two = self._snapshot(before), self._snapshot(after)
        found = version_diff(one, two, pipeline_of(self._settings))
        if found.below is None:
            return found, one.vector
        finder = cut_finder(self._settings)
        try:
            return found, finder.at(found.below, one.vector.keys() | two.vector.keys()).vector
        finally:
            finder.close()

    def switch(self, name: str, *, most_percent: float, most_lag: int, force: bool) -> JobBook:
        """Lets a version answer. Raises `InexactError` where it is behind, or differs more than is allowed."""
        book = self.book()
        if name not in book.jobs:
            raise no_version(name, book)
        if name != book.active and not force:
            self._check_level(book.active, name, most_lag)
            found, _ = self.diff(book.active, name)
            if found.percent > most_percent or (not most_percent and not found.equal):
                raise InexactError(
                    f"{name} differs from {book.active} in {len(found.changes):,} of {found.compared:,} cells, in a "
                    f"total by {found.percent:.4g} %, allowed are {most_percent:g} %: look at `fourfold replay diff "
                    f"{book.active} {name}`, then allow it with --max-diff or --force"
                )
        return self._jobs.switch(name)

    def rollback(self) -> JobBook:
        """Lets the version that answered before answer again."""
        return self._jobs.rollback()

    def retire(self, name: str) -> JobBook:
        """Ends a version that does not answer, and frees its memory."""
        return self._jobs.retire(name)

    def standing(self) -> list[dict[str, Any]]:
        """Each version and where it stands, for people and pages."""
        book, ends = self.book(), self._ends()
        found = []
        for job in book.jobs.values():
            positions = self._jobs.positions(job.name)
            found.append(
                {
                    "name": job.name,
                    "logic": job.logic,
                    "active": job.name == book.active,
                    "previous": job.name == book.previous,
                    "created_ms": job.created_ms,
                    "counted": _counted(positions),
                    "accepted": sum(position.accepted for position in positions.values()),
                    "lag": _lag(positions, ends),
                }
            )
        return found

    def _check_level(self, active: str, name: str, most_lag: int) -> None:
        end = self._clock() + LEVEL_S
        while True:
            one, two = self._jobs.positions(active), self._jobs.positions(name)
            behind = sum(
                max(0, position.next - (two[source].next if source in two else position.first))
                for source, position in one.items()
            )
            if behind <= most_lag and two.keys() >= one.keys():
                return
            if self._clock() > end:
                raise InexactError(
                    f"{name} is {behind:,} records behind {active}, allowed are {most_lag:,}: wait until it has caught "
                    "up (`fourfold replay status`), or switch with --force"
                )
            time.sleep(0.1)

    def _snapshot(self, name: str) -> Snapshot:
        pipeline = pipeline_of(self._settings)
        rollup = rollup_of_view(self._settings, pipeline)
        client = redis_client(self._settings)
        reader = RedisReader(client, view_of(self._settings.view, name), pipeline, rollup=rollup)
        try:
            return reader.read()
        finally:
            reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._jobs.close()


def _counted(positions: Mapping[PartitionKey, Position]) -> int:
    return sum(position.next - position.first for position in positions.values())


def _lag(positions: Mapping[PartitionKey, Position], ends: Mapping[PartitionKey, int]) -> int:
    return sum(max(0, end - (positions[s].next if s in positions else 0)) for s, end in ends.items())


def _rate(looks: deque[tuple[float, int]]) -> float:
    (began, first), (ended, last) = looks[0], looks[-1]
    return max(0.0, (last - first) / (ended - began)) if ended > began else 0.0
