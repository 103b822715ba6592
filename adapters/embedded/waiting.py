"""Waiting for a condition, with a bound."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

POLL_S: Final = 0.02


def wait_until(condition: Callable[[], bool], bound_s: float) -> bool:
    """Poll until `condition` holds (True) or `bound_s` seconds are over (False). It is asked at least once."""
    end = time.monotonic() + bound_s
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(POLL_S)
    return True
