"""Throughput: the highest rate at which a mode is no further behind than it always is, and what that takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from adapters.kafka.log import LogReader
from core.position import Vector
from modes.crew import Crew
from modes.race.looks import Looks
from modes.race.poller import Poller
from modes.race.usage import Usage

#: Events a second, one after the other until one is not sustained.
LEVELS: Final = (10_000, 25_000, 50_000, 75_000, 100_000)
LEVEL_S: Final = 5
#: The last record of a level may be in an answer so much later than the mode's freshness.
GRACE_S: Final = 0.5
#: A generator that is slower than this share of a level is what was measured.
_GENERATED: Final = 0.93
_PAUSE_S: Final = 0.02
_BOUND_S: Final = 60.0


class Throughput:
    """Load in steps."""

    def __init__(self, crew: Crew, poller: Poller, looks: Looks, usage: Usage, progress: Callable[[str], None]) -> None:
        self._crew = crew
        self._poller = poller
        self._looks = looks
        self._usage = usage
        self._progress = progress

    def run(self, fresh_s: float) -> dict[str, Any]:
        """`fresh_s`: the mode's freshness (p99) under the race's traffic.

        `sustained`: events a second; `at_least`: whether the generator ended the steps. `levels`: for each the rate, the
        seconds until all of it was in an answer, and cores by role: the demand for resources under that load.
        """
        levels: list[dict[str, Any]] = []
        sustained, at_least = 0.0, True
        for rate in LEVELS:
            self._progress(f"throughput: {rate:,} events/s")
            level = self._level(rate)
            level["sustained"] = level["drain_s"] <= fresh_s + GRACE_S
            levels.append(level)
            if not level["sustained"]:
                at_least = False
                break
            sustained = level["rate"]
            if level["rate"] < _GENERATED * rate:
                break
        return {"sustained": sustained, "at_least": at_least, "levels": levels}

    def _level(self, rate: float) -> dict[str, Any]:
        before = self._looks.ends()
        self._usage.sample()
        cpu = self._usage.cpu_s()
        child = self._crew.produce("--rate", str(rate), "--duration", str(LEVEL_S), run="")
        while child.state != "done":
            self._tick()
        ends = self._looks.ends()
        # not when the producer ended: it takes its time to go, and a backlog would be gone meanwhile
        first, last = self._span(before, ends)
        while (covered_ms := self._poller.covered_ms(ends)) is None and time.time() - last < _BOUND_S:
            self._tick()
        drained = _BOUND_S if covered_ms is None else covered_ms / 1000 - last
        self._usage.sample()
        self._crew.supervisor.children.remove(child)
        # of the load: what batch does with it afterwards is its demand, too
        seconds = last - first
        return {
            "rate": round((sum(ends.values()) - sum(before.values())) / seconds, 1),
            "drain_s": round(drained, 3),
            "cores": {
                role: round((used - cpu.get(role, 0.0)) / seconds, 3) for role, used in self._usage.cpu_s().items()
            },
        }

    def _span(self, before: Vector, ends: Vector) -> tuple[float, float]:
        """When the first and the last record between were appended, in seconds since 1970, by the broker."""
        grown = {source: end - 1 for source, end in ends.items() if end > before.get(source, 0)}
        access = self._crew.settings.access
        with LogReader(access, grown, {source: before.get(source, 0) for source in grown}) as reader:
            # of whichever partition answers first: they begin within some ms of one another
            first = next(entry for entry in reader.read_to_end()).append_ms
        with LogReader(access, grown, grown) as reader:
            last = max(entry.append_ms for entry in reader.read_to_end())
        return first / 1000, last / 1000

    def _tick(self) -> None:
        self._crew.tick()
        self._crew.check()
        time.sleep(_PAUSE_S)
