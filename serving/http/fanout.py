"""Frames of a live stream, written once and shared by all who watch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable


class Fanout:
    """`tell` and `watch` belong to one event loop. A watcher that is slow misses frames and gets the newest."""

    def __init__(self, stands_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`stands_s`: a frame that is older is news to nobody any more."""
        self._stands_s = stands_s
        self._clock = clock
        self._number = 0
        self._told_at = float("-inf")
        self._frame = b""
        self._told = asyncio.Event()
        self._ended = False
        self.watchers = 0

    @property
    def number(self) -> int:
        """How many frames there were."""
        return self._number

    def tell(self, frame: bytes) -> None:
        """The next frame."""
        self._number += 1
        self._frame = frame
        self._told_at = self._clock()
        self._wake()

    def end(self) -> None:
        """All streams end."""
        self._ended = True
        self._wake()

    async def watch(self) -> AsyncIterator[bytes]:
        """The frames from now on, the newest at once; those that came while one was sent are skipped.

        An old one is not handed out: whoever comes after the last frame waits for the next.
        """
        self.watchers += 1
        number = 0
        try:
            while not self._ended:
                if self._number > number and self._clock() - self._told_at <= self._stands_s:
                    number = self._number
                    yield self._frame
                else:
                    await self._told.wait()
        finally:
            self.watchers -= 1

    def _wake(self) -> None:
        self._told.set()
        self._told = asyncio.Event()
