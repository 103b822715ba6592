"""Distinct users for many who ask: counted in one thread, the same question once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Self

from serving.answer import Answer
from serving.live import AnswerSource
from serving.merge import Users

#: A count stands for so long.
STANDS_S: Final = 1.0
#: So many questions are remembered.
_REMEMBERED: Final = 256


@dataclass(frozen=True, slots=True)
class UserCount:
    """A number of distinct users, and the answer that it belongs to."""

    users: Users
    answer: Answer


class UserCounts:
    """In another thread: counting users reads files, and nobody else must wait for that.

    For one event loop. A context manager.
    """

    def __init__(self, source: AnswerSource, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "users")
        self._asked: dict[tuple[int, int], tuple[float, asyncio.Future[UserCount]]] = {}

    async def of(self, start: int, end: int) -> UserCount:
        """Distinct users of minutes `start` (included) to `end` (left out), at most a second old.

        Raises `UnavailableError`.
        """
        now = self._clock()
        known = self._asked.get((start, end))
        if known is None or (known[1].done() and now - known[0] > STANDS_S):
            if len(self._asked) >= _REMEMBERED:
                self._asked.clear()
            counting = asyncio.get_running_loop().run_in_executor(self._thread, self._count, start, end)
            known = self._asked[start, end] = (now, counting)
        # one who gives up must not take the count from the others
        return await asyncio.shield(known[1])

    def now(self, start: int, end: int) -> UserCount:
        """As `of`, always counted anew, for a thread that may wait."""
        return self._thread.submit(self._count, start, end).result()

    def close(self) -> None:
        """Ends the thread after the count that is at work."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _count(self, start: int, end: int) -> UserCount:
        answer = self._source.answer()
        return UserCount(self._source.users(answer, start, end), answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
