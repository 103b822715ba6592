"""The catalogue: what each mode is made of. A mode is a row of data, not a branch in the code."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from core.errors import ConfigurationError

#: What may recompute; the first one is the usual one.
ENGINES: Final = ("pandas", "duckdb")


class Role(StrEnum):
    """A kind of process."""

    PRODUCE = "produce"
    PROCESS = "process"
    BATCH = "batch"
    SERVE = "serve"


class Retention(StrEnum):
    """How long Kafka keeps events."""

    SHORT = "short"
    EVERYTHING = "everything"


@dataclass(frozen=True, slots=True)
class Mode:
    """One architecture.

    `speed_state`, `answer`, `repair` (how numbers get right again after an error of logic): for people.
    `epoch_seconds`, `horizon_epochs`: default length of an epoch, and how many before the current
    one are searched for duplicates. `speed_expires`: speed state goes when it leaves the retention
    window; otherwise when it is covered by a batch view, or never. `batch_view`, `speed_view`:
    what an answer is made of. `job_versions`: the job can be started again from the log's beginning
    under another name, with a view of its own, and one of these versions answers.
    """

    name: str
    roles: tuple[Role, ...]
    retention: Retention
    archive: bool
    epoch_seconds: int
    horizon_epochs: int
    speed_expires: bool
    batch_view: bool
    speed_view: bool
    speed_state: str
    answer: str
    repair: str
    job_versions: bool = False

    @property
    def keeps_letters(self) -> Role:
        """Who keeps rejected records as dead letters: whoever sees them first."""
        return Role.PROCESS if Role.PROCESS in self.roles else Role.BATCH

    @property
    def keeps_all(self) -> bool:
        """Whether no epoch of the speed view ever expires."""
        return self.speed_view and not self.speed_expires and not self.batch_view

    def as_json(self) -> dict[str, Any]:
        """The row for people and pages."""
        return {
            "name": self.name,
            "roles": [str(role) for role in self.roles],
            "kafka_keeps": str(self.retention),
            "archive": self.archive,
            "speed_state": self.speed_state,
            "answer": self.answer,
            "repair": self.repair,
            "epoch_seconds": self.epoch_seconds,
            "horizon_epochs": self.horizon_epochs,
            "job_versions": self.job_versions,
        }


MODES: Final = {
    mode.name: mode
    for mode in (
        Mode(
            "batch",
            (Role.PRODUCE, Role.BATCH, Role.SERVE),
            Retention.EVERYTHING,
            archive=True,
            epoch_seconds=10,
            horizon_epochs=1,
            speed_expires=False,
            batch_view=True,
            speed_view=False,
            speed_state="none",
            answer="batch view",
            repair="recompute all",
        ),
        Mode(
            "streaming",
            (Role.PRODUCE, Role.PROCESS, Role.SERVE),
            Retention.SHORT,
            archive=False,
            epoch_seconds=30,
            horizon_epochs=1,
            speed_expires=True,
            batch_view=False,
            speed_view=True,
            speed_state="expires after the window",
            answer="speed view",
            repair="from now on only: what left the window stays wrong",
        ),
        Mode(
            "lambda",
            (Role.PRODUCE, Role.PROCESS, Role.BATCH, Role.SERVE),
            Retention.EVERYTHING,
            archive=True,
            epoch_seconds=10,
            horizon_epochs=6,
            speed_expires=False,
            batch_view=True,
            speed_view=True,
            speed_state="expires when covered",
            answer="batch view + speed epochs from the cut on",
            repair="recompute all; the speed part when it is covered",
        ),
        Mode(
            "kappa",
            (Role.PRODUCE, Role.PROCESS, Role.SERVE),
            Retention.EVERYTHING,
            archive=False,
            epoch_seconds=30,
            horizon_epochs=1,
            speed_expires=False,
            batch_view=False,
            speed_view=True,
            speed_state="kept, per job version",
            answer="active job version",
            repair="replay the log as another version, switch",
            job_versions=True,
        ),
    )
}


def mode_named(name: str) -> Mode:
    """The row of a mode. Raises `ConfigurationError` for a name that is none."""
    mode = MODES.get(name)
    if mode is None:
        raise ConfigurationError(f"FOURFOLD_MODE is {name!r}, but there are {', '.join(MODES)}: use one of them")
    return mode
