"""The fold of one partition in offset order: epochs, duplicates, lateness, rejections.

Everything that depends on order happens here and is a function of (position, records) alone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, Self

from core.contract import UNSTAMPED_MS
from core.delta import ACCEPTED, DUPLICATES, LATE, DeadLetter, Delta
from core.horizon import Horizon
from core.kernel.decide import Rejection
from core.kernel.kernel import StreamKernel
from core.kernel.order import EpochRange, epoch_ranges, lateness, repeated, without
from core.position import PartitionKey, Position
from core.rules import Rules


class Record(Protocol):
    """What the fold sees of a record."""

    @property
    def offset(self) -> int:
        """Its place in the partition."""

    @property
    def timestamp(self) -> int:
        """The broker's append time in ms (`core.contract.append_time`)."""

    @property
    def key(self) -> bytes | None:
        """The user, for records of ours."""

    @property
    def value(self) -> bytes | None:
        """The document, or whatever was sent."""


class PartitionFold:
    """Folds the records of one partition from its position on.

    `position` is what has been folded so far; the owner says when it has been stored.
    """

    def __init__(self, source: PartitionKey, position: Position, rules: Rules, kernel: StreamKernel) -> None:
        self.source = source
        self.position = position
        self._rules = rules
        self._kernel = kernel
        self._horizon = Horizon(rules.horizon)
        self._warm_epoch = -1

    @property
    def remembered(self) -> int:
        """How many event ids the duplicate memory holds."""
        return len(self._horizon)

    def warm_up(self, records: Sequence[Record]) -> None:
        """Fills the duplicate memory from records below the position; counts nothing."""
        identity = self._kernel.identity
        if identity is None:
            return
        part = _Slice.of(self._kernel, records)
        for span in epoch_ranges(part.appended, self._warm_epoch, self._rules.epoch_ms):
            if span.epoch > self._warm_epoch:
                self._warm_epoch = span.epoch
                self._horizon.enter(span.epoch)
            self._horizon.current.update(map(identity, part.events[part.accepted_in(span)]))

    def fold(self, records: Sequence[Record], end: int, delta: Delta) -> None:
        """Folds the records of a stretch of the log that ends before offset `end` into `delta`.

        Records are in offset order. Those below the position only warm the duplicate memory.
        Offsets without a record (control records, compaction) are counted as gaps, so the
        position moves to `end` even where the stretch holds no record at all.
        """
        start = self.position.next
        if records and records[0].offset < start:
            split = next((i for i, r in enumerate(records) if r.offset >= start), len(records))
            self.warm_up(records[:split])
            records = records[split:]
        if end <= start:
            return
        old, epoch, accepted = self.position, self.position.epoch, 0
        part = _Slice.of(self._kernel, records)
        late, newest = lateness(part.times, part.stamps, old.newest_ms, self._rules.lateness_ms)
        for span in epoch_ranges(part.appended, epoch, self._rules.epoch_ms):
            epoch = span.epoch
            self._horizon.enter(epoch)
            accepted += self._count(epoch, part, part.accepted_in(span), late, delta)
            for rejection in part.rejected_in(span):
                delta.reject(epoch, self._letter(records[rejection.place], rejection))
        delta.condense()
        last = next((record for record in reversed(records) if record.timestamp != UNSTAMPED_MS), None)
        self.position = Position(
            next=end,
            epoch=epoch,
            newest_ms=newest,
            appended_ms=old.appended_ms if last is None else last.timestamp,
            first=old.first,
            accepted=old.accepted + accepted,
            duplicates=old.duplicates + len(part.events) - accepted,
            rejected=old.rejected + len(part.rejected),
            gaps=old.gaps + (end - start - len(records)),
            lost=old.lost,
            last=old.last if last is None else last.offset,
        )

    def _count(self, epoch: int, part: _Slice, valid: slice, late: Sequence[int], delta: Delta) -> int:
        """Counts valid events of one epoch; how many are no duplicates. `late`: places among all events."""
        events, times, identity = part.events[valid], part.times[valid], self._kernel.identity
        if not events:
            return 0
        late = [place - valid.start for place in late if valid.start <= place < valid.stop]
        gone = [] if identity is None else repeated(list(map(identity, events)), self._horizon)
        if gone:
            delta.count(epoch, DUPLICATES, len(gone))
            events, times = without(events, gone), without(times, gone)
            if late:
                dropped = frozenset(gone)
                late = [place for place in late if place not in dropped]
        delta.count(epoch, ACCEPTED, len(events))
        delta.count(epoch, LATE, len(late))
        delta.keep(epoch, self._kernel.aggregate, times, events)
        return len(events)

    def _letter(self, record: Record, rejection: Rejection) -> DeadLetter:
        return DeadLetter(
            self.source,
            record.offset,
            record.timestamp,
            record.key,
            record.value,
            rejection.reason,
            rejection.detail,
        )


class _Slice(NamedTuple):
    """Records, decided. `stamps`: append times of the accepted ones; `bad`: the places of the rejected ones."""

    appended: list[int]
    events: list[Any]
    times: list[int]
    stamps: list[int]
    rejected: list[Rejection]
    bad: list[int]

    @classmethod
    def of(cls, kernel: StreamKernel, records: Sequence[Record]) -> Self:
        appended = [record.timestamp for record in records]
        events, times, rejected = kernel.decide.all([record.value for record in records], appended)
        bad = [rejection.place for rejection in rejected]
        stamps = without(appended, bad) if bad else appended
        return cls(appended, events, times, stamps, rejected, bad)

    def accepted_in(self, span: EpochRange) -> slice:
        """Where the events of a range are among all events."""
        return slice(span.start - bisect_left(self.bad, span.start), span.end - bisect_left(self.bad, span.end))

    def rejected_in(self, span: EpochRange) -> list[Rejection]:
        """The rejections of a range."""
        return self.rejected[bisect_left(self.bad, span.start) : bisect_left(self.bad, span.end)]
