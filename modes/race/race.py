"""The race: rounds of laps, one mode after another, and the report's document."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from modes.catalogue import mode_named
from modes.race.course import judge
from modes.race.lap import Lap
from modes.race.machine import this_machine
from modes.race.plan import TIMES_SHORTER, Plan
from modes.race.prices import Prices, money
from modes.race.summary import spread, summary
from modes.settings import Settings

VERSION: Final = 1
#: Settings that a report shows: those that decide what is measured.
_SHOWN: Final = (
    "epoch_seconds", "horizon_epochs", "lateness_seconds", "window_hours", "batch_seconds", "cut_margin_seconds",
    "partitions", "workers", "batch_processes", "dirt_duplicates", "resend_seconds", "dirt_late", "dirt_out_of_order",
    "audit",
)  # fmt: skip

#: (mode, round, words) while it runs.
Progress = Callable[[str, int, str], None]


class Race:
    """One race. `document` has what was measured so far, at any moment."""

    def __init__(self, plan: Plan, usual: Settings, prices: Prices, command: Sequence[str]) -> None:
        self._plan = plan
        self._usual = usual
        self._prices = prices
        self._command = list(command)
        self._laps: list[dict[str, Any]] = []
        self._made = datetime.now(UTC)
        self._began = time.monotonic()
        self._machine = this_machine()

    def run(self, progress: Progress) -> None:
        """All laps. Raises `FourfoldError` where a part cannot run or go on."""
        for number in range(1, self._plan.repeat + 1):
            for mode in self._plan.modes:
                lap = Lap(self._plan, self._usual, mode, lambda text, m=mode, n=number: progress(m, n, text)).run()  # type: ignore[misc]
                lap["money"] = money(mode_named(mode), lap, self._plan.events, self._plan.rate, self._prices)
                self._laps.append({"round": number, **lap})

    def document(self) -> dict[str, Any]:
        """The report. `missing`: what was planned, or could have been, and is not in it."""
        found = summary(self._laps)
        folder = self._usual.data_dir
        return {
            "race": VERSION,
            "made": self._made.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self._began, 1),
            "command": " ".join(self._command),
            "machine": asdict(self._machine),
            "plan": self._plan.as_json(),
            "times_shorter": TIMES_SHORTER,
            "settings": {
                mode: {name: getattr(self._plan.settings(self._usual, mode, folder), name) for name in _SHOWN}
                | {
                    "horizon_epochs": mode_named(mode).horizon_epochs,
                }
                for mode in self._plan.modes
            },
            "prices": self._prices.as_json(),
            "laps": self._laps,
            "summary": found,
            "spread": spread(found),
            "course": judge(found, self._plan.repeat),
            "missing": self._missing(),
        }

    def _missing(self) -> list[str]:
        done = {(lap["mode"], lap["round"]) for lap in self._laps}
        plan = self._plan
        missing = [
            f"{mode}, round {number}: not run"
            for number in range(1, plan.repeat + 1)
            for mode in plan.modes
            if (mode, number) not in done
        ]
        if not plan.throughput:
            missing.append("sustained throughput was not asked for")
        if not plan.repair:
            missing.append("repair of an error of logic was not asked for")
        if not plan.faults:
            missing.append("recovery after kill -9 was not asked for (--faults)")
        if plan.repeat == 1:
            missing.append("one round: the spread is unknown (--repeat 3)")
        return missing
