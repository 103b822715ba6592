"""The partition book: what this worker knows of each partition it owns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

import structlog

from adapters.speed.port import Outcome, SpeedSink, Step
from core.delta import Delta
from core.errors import UnavailableError
from core.kernel.kernel import Kernel
from core.partition import PartitionFold
from core.position import PartitionKey, Position
from core.rules import Rules
from processors.faust_overrides import LogOffsets

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Held:
    """One partition: its fold, the position as the store has it, and how far it was read.

    Attributes:
        fold: What was made of its records.
        stored: The position as the store has it.
        cursor: The offset at which the next batch must begin.
        sent: The position that the newest step brings it to, which may be on its way to the store.
        clean: Whether every batch folded so far is in the store.
    """

    fold: PartitionFold
    stored: str
    cursor: int
    sent: str = ""
    clean: bool = True

    def __post_init__(self) -> None:
        self.sent = self.sent or self.stored

    @property
    def counted(self) -> int:
        """The offset below which all is in the store."""
        return Position.decode(self.stored).next


class Book:
    """Restores partitions from the store, and says which batches may be counted."""

    def __init__(
        self,
        sink: SpeedSink,
        rules: Rules,
        kernel: Kernel,
        identity: str,
        starts: Callable[[], Mapping[PartitionKey, Position]] = dict,
        check_log: Callable[[Mapping[PartitionKey, Position]], Awaitable[None]] | None = None,
    ) -> None:
        """`identity` is that of the log which the view counts (`adapters.kafka.topics`).

        `starts`: where a partition begins that has no position in the store (a cut, where a batch
        view has one); those that it does not name begin at the log's start. `check_log` raises
        `ConfigurationError` where the log is not the one that these positions counted.
        """
        self._sink = sink
        self._rules = rules
        self._kernel = kernel
        self._starts = starts
        self.identity = identity
        self._check_log = check_log
        self._held: dict[PartitionKey, Held] = {}
        #: batches of any other generation are stale; -1: all are
        self.generation = -1
        self.restores = 0

    def __getitem__(self, source: PartitionKey) -> Held | None:
        return self._held.get(source)

    @property
    def held(self) -> dict[PartitionKey, Held]:
        """All partitions in the book."""
        return self._held

    def forget(self) -> None:
        """See `PartitionBook.forget`. Clean partitions may still be used after a restore."""
        self.generation = -1

    async def restore(self, assigned: Iterable[PartitionKey], log_offsets: LogOffsets) -> dict[PartitionKey, int]:
        """Reads positions from the store and decides where each partition is read from.

        A partition is read from before its position where its duplicate memory has to be made
        anew. Raises `UnavailableError` where the store is away, `ConfigurationError` where it
        holds a view of another log or under other rules.
        """
        await self._sink.begin(self._rules, self.identity)
        stored = await self._sink.positions(assigned)
        old, self._held = self._held, {}
        held: dict[PartitionKey, Held] = {}
        cold: dict[PartitionKey, int] = {}
        positions: dict[PartitionKey, Position | None] = {}
        begin = self._starts() if None in stored.values() else {}
        found_at = {s: begin.get(s) if text is None else Position.decode(text) for s, text in stored.items()}
        if self._check_log is not None:
            await self._check_log({source: found for source, found in found_at.items() if found is not None})
        for source, text in stored.items():
            known = old.get(source)
            if known and known.clean and text == known.stored and known.cursor == known.fold.position.next:
                held[source] = known
                continue
            found = positions[source] = found_at[source]
            cold[source] = self._rules.warm_up_from(-1 if found is None else found.epoch)
        if cold:
            warm_from, starts = await log_offsets.offsets_at(cold)
            for source in cold:
                held[source] = await self._open(
                    source, stored[source], positions[source], starts[source], warm_from.get(source)
                )
        self._held = held
        self.restores += 1
        plan = {source: state.cursor for source, state in held.items()}
        behind = sum(state.fold.position.next - state.cursor for state in held.values())
        log.info("positions restored", partitions=len(plan), reused=len(plan) - len(cold), warm_up=behind)
        return plan

    async def _open(
        self,
        source: PartitionKey,
        text: str | None,
        found: Position | None,
        log_start: int,
        warm_from: int | None,
    ) -> Held:
        if found is None:
            position = Position(next=log_start, first=log_start)
            log.info("no position in the store, counting from the log's start", partition=str(source), offset=log_start)
        elif found.next < log_start:
            lost = log_start - found.next
            position = found._replace(next=log_start, lost=found.lost + lost)
            log.error(
                "retention passed the position: records are lost to this view",
                partition=str(source),
                first=found.next,
                last=log_start - 1,
                lost=lost,
            )
        else:
            position = found
            if text is None:
                log.info("no position in the store, counting from the cut", partition=str(source), offset=found.next)
        new = position.encode()
        if new != text:
            step = Step(source, text or "", new, Delta())
            if (await self._sink.apply([step]))[source] is Outcome.CONFLICT:
                raise UnavailableError(f"the position of {source} changed while it was restored")
        cursor = position.next if warm_from is None else min(warm_from, position.next)
        return Held(
            PartitionFold(source, position, self._rules, self._kernel[source.topic]), new, max(cursor, log_start)
        )
