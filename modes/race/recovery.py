"""Recovery: how long after the kill -9 of a role an answer is fresh and exact again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any, Final

from core.errors import UnavailableError
from core.position import Vector
from modes.catalogue import Role
from modes.crew import Crew
from modes.race.looks import Looks
from modes.race.poller import Poller
from modes.supervisor import Child

#: Fresh is an answer that has what was appended so long after the kill.
_LATER_S: Final = 1.0
_IN_FLIGHT_S: Final = 0.3
_PAUSE_S: Final = 0.05
BOUND_S: Final = 120.0


class Recovery:
    """Kills one role after another while traffic goes on. Call `tick` of the crew through it."""

    def __init__(self, crew: Crew, poller: Poller, looks: Looks, progress: Callable[[str], None]) -> None:
        self._crew = crew
        self._poller = poller
        self._looks = looks
        self._progress = progress

    def run(self) -> dict[str, Any]:
        """Role to seconds; `undisturbed`: the same measured without a kill. Raises `UnavailableError` after `BOUND_S`."""
        child = self._crew.produce(run="")
        try:
            self._progress("recovery: undisturbed")
            # twice: the first one waits for traffic
            for _ in range(2):
                found = {"undisturbed": self._until_fresh(time.time())}
            for role in self._crew.settings.mode_row.roles:
                self._progress(f"recovery: kill -9 of {role}")
                killed = time.time()
                for each in self._of(role):
                    if each.pid is not None:
                        os.kill(each.pid, signal.SIGKILL)
                found[str(role)] = self._until_fresh(killed)
        finally:
            self._crew.supervisor.dismiss(child)
        return {name: round(seconds, 2) for name, seconds in found.items()}

    def _of(self, role: Role) -> list[Child]:
        return [child for child in self._crew.supervisor.children if child.arguments[0] == str(role)]

    def _until_fresh(self, since: float) -> float:
        """Seconds from `since` until an answer over HTTP has what was appended a second later, and all is exact."""
        before: Vector | None = None
        wanted: Vector | None = None
        while (passed := time.time() - since) < BOUND_S:
            self._crew.tick()
            self._crew.check()
            if before is None:
                # what a killed producer had sent is in the log by then
                before = self._looks.ends() if passed >= _IN_FLIGHT_S else None
            elif wanted is None:
                ends = self._looks.ends()
                grown = sum(ends.values()) > sum(before.values())
                wanted = ends if grown and time.time() - since >= _LATER_S else None
            elif (covered_ms := self._poller.covered_ms(wanted)) is not None and self._looks.exact(wanted):
                return covered_ms / 1000 - since
            time.sleep(_PAUSE_S)
        raise UnavailableError(f"no fresh and exact answer within {BOUND_S:g} s: see the logs of the roles")
