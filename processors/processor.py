"""The agent's work: folds a poll and applies it to the store, exactly once."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from adapters.speed.port import Move, Outcome, SpeedSink, Step
from core.delta import DeadLetter, Delta
from core.errors import UnavailableError
from core.rules import Rules
from processors.batches import Fetched
from processors.book import Book, Held
from processors.clock_watch import ClockWatch

log = structlog.get_logger(__name__)

FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 2.0
#: What is waited for is said again after so many tries: about half a minute.
SAY_AGAIN: Final = 20

#: Records folded at a time, about: few enough that they and their events stay in the processor's
#: cache, also where other processes use it.
SLICE: Final = 250

Sleep = Callable[[float], Awaitable[None]]


class DeadLetterSink(Protocol):
    """Where rejected records go."""

    async def publish(self, letters: Sequence[DeadLetter]) -> None:
        """Returns when all letters are acknowledged. Raises `UnavailableError`."""


@dataclass(slots=True)
class Work:
    """What a processor has done since it started."""

    batches: int = 0
    records: int = 0
    dead_letters: int = 0
    stale: int = 0
    conflicts: int = 0
    retries: int = 0
    waiting: bool = False
    rejected: Counter[str] = field(default_factory=Counter)


class Processor:
    """Counts polls. Raises nothing of its own: what cannot be counted now is fetched again."""

    def __init__(
        self,
        book: Book,
        sink: SpeedSink,
        letters: DeadLetterSink,
        rules: Rules,
        reject: Callable[[], None],
        sleep: Sleep = asyncio.sleep,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`reject` makes the transport forget what it fetched and seek again."""
        self._book = book
        self._sink = sink
        self._letters = letters
        self._rules = rules
        self._reject = reject
        self._sleep = sleep
        self._wall = wall
        self._clocks = ClockWatch()
        self.work = Work()

    async def take(self, fetched: Fetched) -> None:
        """Counts one poll, or rejects it."""
        book, work = self._book, self.work
        if fetched.generation != book.generation:
            work.stale += 1
            return
        delta = Delta()
        moved: list[tuple[Held, str]] = []
        moves: list[Move] = []
        newest_epoch = 0
        records = 0
        for source, base, stretch, end in fetched.batches:
            held = book[source]
            if held is None or base != held.cursor:
                # a batch was lost or the fetcher moved: never count over a hole
                self._conflict("the log moved under the worker")
                return
            held.clean = False
            for part in stretch.slices(SLICE):
                held.fold.fold(part, part[-1].offset + 1, delta)
                records += len(part)
            held.fold.fold((), end, delta)
            held.cursor = end
            new = held.fold.position.encode()
            if new == held.stored:
                held.clean = True
                continue
            moves.append(Move(source, held.stored, new))
            moved.append((held, new))
            newest_epoch = max(newest_epoch, held.fold.position.epoch)
        if not moves:
            return
        step = Step(moves, delta, self._floor(newest_epoch))
        letters = delta.dead_letters
        if letters and not await self._until_done(fetched, lambda: self._letters.publish(letters)):
            return
        if not await self._until_done(fetched, lambda: self._apply(step)):
            return
        for held, new in moved:
            held.stored, held.clean = new, True
        work.batches += 1
        work.records += records
        work.dead_letters += len(letters)
        work.rejected.update(letter.reason for letter in letters)
        self._clocks.took(records, delta)

    def _floor(self, newest_epoch: int) -> int:
        """Below which epoch state expires. A broker's clock that is ahead must not make all else expire."""
        keep = self._rules.keep_epochs
        now = self._rules.epoch_of(int(self._wall() * 1000))
        return max(0, min(newest_epoch, now) - keep) if keep else 0

    async def _apply(self, step: Step) -> None:
        if await self._sink.apply(step) is Outcome.CONFLICT:
            raise _ConflictError

    async def _until_done(self, fetched: Fetched, act: Callable[[], Awaitable[None]]) -> bool:
        """Tries until it is done or the poll has become stale. Both acts are safe to repeat."""
        pause = FIRST_PAUSE_S
        tries, said = 0, ""
        while True:
            try:
                await act()
            except UnavailableError as error:
                self.work.retries += 1
                tries += 1
                if not self.work.waiting or (said and str(error) != said) or tries % SAY_AGAIN == 0:
                    log.warning("waiting", reason=str(error))
                said = str(error)
                self.work.waiting = True
                await self._sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)
                if fetched.generation != self._book.generation:
                    self._conflict("the partitions changed hands while waiting")
                    return False
            except _ConflictError:
                self._conflict("the store has another position")
                return False
            else:
                if self.work.waiting:
                    log.info("going on")
                self.work.waiting = False
                return True

    def _conflict(self, why: str) -> None:
        log.info("poll thrown away, reading again", reason=why)
        self.work.conflicts += 1
        self._reject()


class _ConflictError(Exception):
    """The store's positions are not those the step starts from."""
