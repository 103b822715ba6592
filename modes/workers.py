"""The worker processes that a mode wants: a fixed number, or so many for each version of the job."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import structlog

from adapters.speed.jobs import FIRST, JobBook
from adapters.speed.port import Job
from core.errors import UnavailableError
from modes.catalogue import Role
from modes.settings import Settings
from modes.supervisor import Child, Supervisor

log = structlog.get_logger(__name__)

#: The registry of job versions is looked at so often.
LOOK_EVERY_S: Final = 0.5


class JobRegistry(Protocol):
    """Where job versions are registered (`adapters.speed.jobs.RedisJobs`)."""

    def ensure(self, job: Job) -> JobBook:
        """Registers the first version where there is none."""

    def restore(self, known: JobBook) -> JobBook:
        """Writes back a book that the store has lost."""


class _Wanted(NamedTuple):
    """What a worker is for: a job version, None in a mode that has none; and what its environment has in addition."""

    job: Job | None
    environment: Mapping[str, str]


class Workers:
    """Keeps a supervisor's workers as they are wanted. Call `tick` a few times a second."""

    def __init__(
        self,
        settings: Settings,
        supervisor: Supervisor,
        registry: JobRegistry | None,
        log_files: Path | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`registry`: None in a mode without job versions. `log_files`: the folder, None for the own output."""
        self._settings = settings
        self._supervisor = supervisor
        self._registry = registry
        self._log_files = log_files
        self._clock = clock
        self._wall = wall
        self._looked_at = float("-inf")
        self._known = JobBook()
        #: by name: what a worker was started for, and the worker
        self._children: dict[str, tuple[_Wanted, Child]] = {}

    def tick(self) -> None:
        """Starts workers that are wanted, and ends those that are not any more."""
        if self._registry is None:
            self._keep(self._names("", _Wanted(None, {"FOURFOLD_WORKERS": "1"})))
        elif self._clock() - self._looked_at >= LOOK_EVERY_S or self._failed():
            self._looked_at = self._clock()
            book = self._book(self._registry)
            if book is not None:
                self._known = book
                wanted: dict[str, _Wanted] = {}
                for job in book.jobs.values():
                    wanted |= self._names(f"-{job.name}", _Wanted(job, self._environment(job)))
                self._keep(wanted)

    def _failed(self) -> bool:
        """Whether a worker cannot go on: perhaps since its version was retired."""
        return any(child.state == "failed" for _, child in self._children.values())

    def _book(self, registry: JobRegistry) -> JobBook | None:
        """The versions; those known before where the store has lost them. None where it does not answer."""
        try:
            if self._known.jobs:
                return registry.restore(self._known)
            return registry.ensure(Job(FIRST, self._settings.logic, int(self._wall() * 1000)))
        except UnavailableError as error:
            log.debug("the registry of job versions cannot be read", reason=str(error))
            return None

    def _environment(self, job: Job) -> Mapping[str, str]:
        return {
            "FOURFOLD_WORKERS": "1",
            "FOURFOLD_LOGIC": job.logic,
        }

    def _names(self, suffix: str, wanted: _Wanted) -> dict[str, _Wanted]:
        """A worker's name to what it is wanted for."""
        copies = self._settings.workers
        numbers = [f"-{number}" for number in range(1, copies + 1)] if copies > 1 else [""]
        return {f"{Role.PROCESS}{suffix}{number}": wanted for number in numbers}

    def _keep(self, wanted: Mapping[str, _Wanted]) -> None:
        # a version that was retired and started again under its name is another one, perhaps of another logic
        for name in [name for name, (cause, _) in self._children.items() if wanted.get(name) != cause]:
            self._supervisor.dismiss(self._children.pop(name)[1])
        for name, cause in wanted.items():
            if name not in self._children:
                log_file = self._log_files and self._log_files / f"{name}.log"
                # the version is named for whoever looks at the processes of this machine
                arguments = [str(Role.PROCESS), *(("--job", cause.job.name) if cause.job else ())]
                child = self._supervisor.start(name, arguments, log_file, more=cause.environment)
                self._children[name] = cause, child
