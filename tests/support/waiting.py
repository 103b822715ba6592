"""Waiting on conditions, with a bound; no test sleeps for a time that it guesses."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from tests.support.busy import allowed

T = TypeVar("T")
#: Turns of an event loop, in which everything that can go on goes on once.
_TURNS = 1_000
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


async def turned(condition: Callable[[], object], what: str) -> None:
    """Returns when the condition holds, which needs nothing but turns of the event loop. Fails the test after many."""
    for _ in range(_TURNS):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError(f"{_TURNS} turns of the event loop in vain for {what}")


async def suspended(*tasks: asyncio.Future[object]) -> None:
    """Returns when each task has begun and waits for something."""
    waits = [task for task in tasks if isinstance(task, asyncio.Task)]
    await turned(lambda: all(task._fut_waiter is not None for task in waits), "tasks to wait")  # type: ignore[attr-defined]
