"""Frames of a live stream, written once and shared by all who watch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator


class Fanout:
    """`tell` and `watch` belong to one event loop. A watcher that is slow misses frames and gets the newest."""

    def __init__(self) -> None:
        self._number = 0
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
        self._wake()

    def end(self) -> None:
        """All streams end."""
        self._ended = True
        self._wake()

    async def watch(self) -> AsyncIterator[bytes]:
        """The frames from now on, the newest at once; those that came while one was sent are skipped."""
        self.watchers += 1
        number = 0
        try:
            while not self._ended:
                if self._number > number:
                    number = self._number
                    yield self._frame
                else:
                    await self._told.wait()
        finally:
            self.watchers -= 1

    def _wake(self) -> None:
        self._told.set()
        self._told = asyncio.Event()
