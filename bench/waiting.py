"""Waiting for a condition, with a bound, while processes are watched."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from bench.contender import Run
from core.errors import FourfoldError

#: No contender is so slow: it stands still.
STALL_S: Final = 60.0
_EVERY_S: Final = 0.1


def until(condition: Callable[[], bool], what: str, *runs: Run) -> None:
    """Waits. Raises `FourfoldError` where a run ends, or after `STALL_S`; `what` is waited for, in words."""
    end = time.monotonic() + STALL_S
    while not condition():
        for run in runs:
            run.check()
        if time.monotonic() > end:
            raise FourfoldError(f"waited {STALL_S:g} s in vain for {what}")
        time.sleep(_EVERY_S)
