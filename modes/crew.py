"""The crew: all processes that a mode wants, started, kept alive, given other settings, stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

from core.errors import ConfigurationError
from modes.catalogue import Role
from modes.launcher import Commands, Launcher
from modes.pipelines import pipeline_of
from modes.settings import Settings, environment
from modes.supervisor import Child, Supervisor
from modes.wiring.speed import job_registry
from modes.workers import Workers

#: What goes on when everything else gets other settings.
_LASTING: Final = (Role.PRODUCE,)


class Crew:
    """The processes of one data directory; their logs are in its folder `logs`. A context manager."""

    def __init__(
        self,
        settings: Settings,
        *,
        without: Sequence[Role] = (),
        produce: Sequence[str] = (),
        batch_every: float | None = None,
        needs: Callable[[], object] = lambda: None,
        launcher: Launcher | None = None,
    ) -> None:
        """Starts nothing yet.

        Args:
            settings: Those of all processes.
            without: Roles of the mode that are left out.
            produce: Options of the producers, which end by themselves where these say for how long.
            batch_every: Seconds between batch cycles, unless as set.
            needs: Raises where something else is gone without which the roles wait for ever.
            launcher: What starts the processes; None: each is a command.
        """
        self.settings = settings
        self.supervisor = Supervisor(environment(settings), launcher=launcher or Commands())
        self._left_out = set(without)
        self._produce = list(produce)
        self._batch_every = batch_every
        self._needs = needs
        self._workers: Workers | None = None

    @property
    def producer(self) -> Child | None:
        """The producers' process; None without one."""
        return next((child for child in self.supervisor.children if child.name == Role.PRODUCE), None)

    def start(self) -> Self:
        """Starts all of them."""
        left_out = self._left_out if pipeline_of(self.settings).generator else {*self._left_out, Role.PRODUCE}
        self._start([role for role in self.settings.mode_row.roles if role not in left_out])
        return self

    def produce(self, *options: str, run: str | None = None) -> Child:
        """Starts producers beside what runs, with options that say how much, or for how long.

        `run`: another identity than the settings', "" for a new one: ids of events never come twice.
        """
        log_file = self.settings.data_dir / "logs" / f"{Role.PRODUCE}.log"
        ends = any(option in options for option in ("--duration", "--events"))
        more = {} if run is None else {"FOURFOLD_RUN": run}
        return self.supervisor.start(str(Role.PRODUCE), [str(Role.PRODUCE), *options], log_file, ends=ends, more=more)

    def tick(self) -> None:
        """Starts again what died, and what else is wanted. Call it a few times a second."""
        self.supervisor.tick()
        if self._workers is not None:
            self._workers.tick()

    def check(self) -> None:
        """Raises `ConfigurationError` where a process says that it can never run, with its last words; and as `needs`."""
        self._needs()
        for child in self.supervisor.children:
            if child.state == "failed":
                raise ConfigurationError(f"{child.name} cannot run: {child.last_words()}")

    def restart(self, settings: Settings) -> None:
        """Ends all but the producers, and starts them under other settings."""
        for child in [child for child in self.supervisor.children if child.name not in _LASTING]:
            self.supervisor.dismiss(child)
        self.settings = settings
        self.supervisor.environment = environment(settings)
        self._start([role for role in settings.mode_row.roles if role not in self._left_out and role not in _LASTING])

    def _start(self, roles: Sequence[Role]) -> None:
        settings = self.settings
        logs = settings.data_dir / "logs"
        for role in roles:
            if role is Role.PROCESS:
                self._workers = Workers(settings, self.supervisor, job_registry(settings), logs)
                self._workers.tick()
                continue
            arguments = [str(role)]
            if role is Role.PRODUCE:
                self.produce(*self._produce)
                continue
            if role is Role.BATCH and self._batch_every is not None:
                arguments += ["--every", str(self._batch_every)]
            self.supervisor.start(str(role), arguments, logs / f"{role}.log")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.supervisor.stop()
