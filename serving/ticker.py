"""The ticker: one thread that asks for the answer ten times a second, for all requests and watchers."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, Self

from core.errors import UnavailableError
from serving.answer import Answer
from serving.live import AnswerSource
from serving.merge import Users
from serving.repeating import Repeating

EVERY_S: Final = 0.1
#: An answer that is older says so among its states.
OLD_S: Final = 1.0
#: An answer that is older is not given any more.
STANDS_S: Final = 5.0
_JOIN_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Tick:
    """What was found out at one moment: an answer, or the error that stands in its place.

    `number` counts from 1; 0 is the time before the first tick. `taken`: seconds of the ticker's clock.
    """

    number: int
    taken: float
    answer: Answer | None = None
    error: UnavailableError | None = None


class Ticker:
    """Keeps the newest tick. `source` is asked in the ticker's thread only. A context manager."""

    def __init__(
        self, source: AnswerSource, every_s: float = EVERY_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._clock = clock
        self._tick = Tick(0, clock(), error=UnavailableError("there is no answer yet: try again in a second"))
        self._lock = threading.Lock()
        self._waiting: dict[asyncio.AbstractEventLoop, asyncio.Event] = {}
        self._repeating = Repeating(self.tick, every_s, "ticker")

    def check(self) -> None:
        """Raises what ended the ticker, if that was a bug."""
        self._repeating.check()

    @property
    def beats(self) -> int:
        """How often its thread has asked."""
        return self._repeating.beats

    @property
    def newest(self) -> Tick:
        """The newest tick."""
        return self._tick

    @property
    def age_s(self) -> float:
        """Seconds since the newest tick."""
        return max(0.0, self._clock() - self._tick.taken)

    @property
    def stopped(self) -> bool:
        """Whether there will be no further tick."""
        return self._repeating.stopped

    def answer(self) -> Answer:
        """The newest answer; one older than `OLD_S` says so among its states.

        Raises `UnavailableError` where there is none, or none of the last `STANDS_S` seconds.
        """
        try:
            self.check()
        except BaseException as error:
            raise UnavailableError("the ticker ended by a bug: see the log; this process ends") from error
        tick, age = self._tick, self.age_s
        if tick.answer is None:
            assert tick.error is not None
            raise UnavailableError(str(tick.error)) from tick.error
        if age > STANDS_S:
            raise UnavailableError(f"the newest answer is {age:.1f} s old: a store is slow, try again")
        if age > OLD_S:
            return replace(tick.answer, states=(*tick.answer.states, f"answer {age:.1f} s old"))
        return tick.answer

    def users(self, answer: Answer, start: int, end: int) -> Users:
        """Distinct users of minutes `start` (included) to `end` (left out), as of `answer`; from any thread."""
        return self._source.users(answer, start, end)

    async def after(self, number: int) -> Tick:
        """Waits for a tick with a number above `number`, the newest one. At once where the ticker is stopped.

        Waiting costs no thread, and one call into the event loop a tick, however many wait.
        """
        loop = asyncio.get_running_loop()
        while True:
            with self._lock:
                if self._tick.number > number or self.stopped:
                    return self._tick
                event = self._waiting.setdefault(loop, asyncio.Event())
            await event.wait()

    def tick(self) -> None:
        """Asks for the answer once; the thread's work."""
        answer, error = None, None
        try:
            answer = self._source.answer()
        except UnavailableError as unavailable:
            error = unavailable
        except BaseException:
            self.stop()
            raise
        self._tick = Tick(self._tick.number + 1, self._clock(), answer, error)
        self._wake()

    def stop(self) -> None:
        """Ends the thread and all waiting. Returns at once."""
        self._repeating.stop()
        self._wake()

    def close(self) -> None:
        """As `stop`, and waits for the thread: the source may be closed then."""
        self.stop()
        self._repeating.join(_JOIN_S)

    def _wake(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for loop, event in waiting.items():
            # a loop that was closed has nobody who waits
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(event.set)

    def __enter__(self) -> Self:
        self._repeating.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
