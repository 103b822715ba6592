"""The agent's work: folds a poll and applies it to the store, exactly once."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

import structlog

from adapters.speed.port import Outcome, SpeedSink, Step
from core.delta import DeadLetter, Delta
from core.errors import UnavailableError
from core.position import PartitionKey
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


class _Moved(NamedTuple):
    """A partition, its step, and the offset at which what was folded for it ends."""

    held: Held
    step: Step
    end: int


class Folded(NamedTuple):
    """What a poll adds: a step for each partition, and what is known when it was taken. `generation`: of the poll."""

    generation: int
    moved: Sequence[_Moved]
    letters: Sequence[DeadLetter]
    records: int


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

    def fold(self, fetched: Fetched) -> Folded | None:
        """What a poll adds, for `send`; None where it is rejected or moves nothing.

        The step of the poll before may still be on its way: this one begins where that one ends.
        """
        book, work = self._book, self.work
        if fetched.generation != book.generation:
            work.stale += 1
            return None
        folded: list[tuple[Held, PartitionKey, Delta, int]] = []
        newest_epoch = 0
        records = 0
        for source, base, stretch, end in fetched.batches:
            held = book[source]
            if held is None or base != held.cursor:
                # a batch was lost or the fetcher moved: never count over a hole
                self._conflict("the log moved under the worker")
                return None
            held.clean = False
            delta = Delta()
            for part in stretch.slices(SLICE):
                held.fold.fold(part, part[-1].offset + 1, delta)
                records += len(part)
            held.fold.fold((), end, delta)
            held.cursor = end
            if held.fold.position.encode() == held.sent:
                held.clean = held.sent == held.stored
                continue
            folded.append((held, source, delta, end))
            newest_epoch = max(newest_epoch, held.fold.position.epoch)
        if not folded:
            return None
        floor = self._floor(newest_epoch)
        moved: list[_Moved] = []
        letters: list[DeadLetter] = []
        for held, source, delta, end in folded:
            step = Step(source, held.sent, held.fold.position.encode(), delta, floor)
            held.sent = step.new
            moved.append(_Moved(held, step, end))
            letters += delta.dead_letters
        return Folded(fetched.generation, moved, letters, records)

    async def send(self, folded: Folded) -> None:
        """Brings what was folded to the store: dead letters first, then the steps. Or rejects it, where it is stale."""
        work = self.work
        if folded.generation != self._book.generation:
            # the step before was no success, or the partitions changed hands
            work.stale += 1
            return
        letters = folded.letters
        if letters and not await self._until_done(folded, lambda: self._letters.publish(letters)):
            return
        if not await self._until_done(folded, lambda: self._apply(folded.moved)):
            return
        work.batches += 1
        work.records += folded.records
        work.dead_letters += len(letters)
        work.rejected.update(letter.reason for letter in letters)
        self._clocks.took(folded.records, [moved.step.delta for moved in folded.moved])

    def _floor(self, newest_epoch: int) -> int:
        """Below which epoch state expires. A broker's clock that is ahead must not make all else expire."""
        keep = self._rules.keep_epochs
        now = self._rules.epoch_of(int(self._wall() * 1000))
        return max(0, min(newest_epoch, now) - keep) if keep else 0

    async def _apply(self, moved: Sequence[_Moved]) -> None:
        outcomes = await self._sink.apply([each.step for each in moved])
        for held, step, end in moved:
            if outcomes[step.partition] is not Outcome.CONFLICT:
                held.stored = step.new
                # more may have been folded meanwhile
                held.clean = held.cursor == end
        if Outcome.CONFLICT in outcomes.values():
            # the others keep what they have
            raise _ConflictError

    async def _until_done(self, folded: Folded, act: Callable[[], Awaitable[None]]) -> bool:
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
                if folded.generation != self._book.generation:
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
