"""Waiting on conditions, with a bound; no test sleeps for a time that it guesses."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from tests.support.busy import allowed

T = TypeVar("T")
_never = threading.Event()


def until(condition: Callable[[], T], *, within_s: float, what: str, every_s: float = 0.05) -> T:
    """The first true value of `condition`. Fails the test where there is none `within_s` seconds.

    On a busy machine it waits longer, see `busy.allowed`.
    """
    began = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        waited = time.monotonic() - began
        assert waited < within_s or waited < allowed(within_s), (
            f"waited {waited:.0f} s in vain for {what}; last: {value!r}"
        )
        _never.wait(every_s)
