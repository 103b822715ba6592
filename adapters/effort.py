"""What a piece of work takes of this machine."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, Self, TypeVar

import psutil

Result = TypeVar("Result")


class Effort(NamedTuple):
    """Wall seconds, and CPU seconds of this process and of its children that have ended."""

    seconds: float = 0.0
    cpu_s: float = 0.0

    def plus(self, other: Self) -> Self:
        """One after the other."""
        return self._replace(seconds=self.seconds + other.seconds, cpu_s=self.cpu_s + other.cpu_s)


def effort_of(work: Callable[[], Result]) -> tuple[Effort, Result]:
    """Does the work."""
    cpu, began = _cpu_s(), time.monotonic()
    result = work()
    return Effort(time.monotonic() - began, _cpu_s() - cpu), result


def cpu_s_of_all() -> float:
    """CPU seconds of this process and of all that run below it now."""
    total = time.process_time()
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            used = child.cpu_times()
            total += used.user + used.system
    return total


def _cpu_s() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
