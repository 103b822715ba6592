"""The plan of a race: what runs, how much, and under which settings."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from core.declaration.pipeline import STANDARD
from modes.catalogue import MODES, mode_named
from modes.settings import Settings, usual_of

#: Epochs, batch cycles and windows are so many times shorter than usual: a race of minutes shows what hours would.
TIMES_SHORTER: Final = 5
#: Duplicates that do not come within 5 s come after so many seconds. Where answers come from the speed view alone, its
#: horizon surely recognises the former, and surely not the latter, so that what is counted does not depend on when
#: epochs begin. A batch view recognises all, and a lap ends when it covers all.
RESEND_SECONDS: Final = "13-18"
DUPLICATES: Final = 0.03
_SHORTER: Final = ("batch_seconds", "cut_margin_seconds", "window_hours")
#: A part of the race takes so long for each mode, in seconds: for the estimate alone.
_START_S, _DRAIN_S, _FAULT_S, _THROUGHPUT_S, _REPAIR_S = 12, 8, 8, 60, 45


@dataclass(frozen=True, slots=True)
class Plan:
    """`events`, `rate` (a second): of each mode. `faults`: each role is killed. `repair`: with the bug-fix drill.

    `throughput`: how much each mode sustains. `logic`: what counts, `price-only` is wrong on purpose.
    """

    events: int = 90_000
    rate: float = 3_000.0
    modes: tuple[str, ...] = tuple(MODES)
    seed: int = 7
    repeat: int = 1
    faults: bool = False
    repair: bool = True
    throughput: bool = True
    logic: str = STANDARD

    def quick(self) -> Self:
        """The same in under two minutes: less traffic, one round, and only what it shows."""
        return replace(self, events=30_000, rate=2_000.0, repeat=1, faults=False, repair=False, throughput=False)

    @property
    def seconds(self) -> float:
        """How long the traffic lasts."""
        return self.events / self.rate

    def estimate_s(self) -> float:
        """About how long all of it takes."""
        each = _START_S + self.seconds + _DRAIN_S
        each += _THROUGHPUT_S * self.throughput + _REPAIR_S * self.repair
        roles = sum(len(mode_named(name).roles) for name in self.modes)
        return self.repeat * (each * len(self.modes) + _FAULT_S * roles * self.faults)

    def settings(self, usual: Settings, mode: str, folder: Path) -> Settings:
        """The settings of a mode in the race, in servers of its own below `folder`."""
        row = mode_named(mode)
        return usual.model_copy(
            update={
                "mode": mode, "data_dir": folder, "lake": "", "kafka": "", "redis": "", "kafka_port": 0,
                "redis_port": 0, "api_port": 0, "namespace": "race", "group": "race", "job": "", "profile": "",
                "logic": self.logic, "rate": self.rate, "seed": self.seed, "run": "race", "audit": False,
                "epoch_seconds": row.epoch_seconds / TIMES_SHORTER, "horizon_epochs": -1,
                **{name: usual_of(name) / TIMES_SHORTER for name in _SHORTER}, "resend_seconds": RESEND_SECONDS,
                "dirt_duplicates": DUPLICATES,
            }
        )  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        return asdict(self)
