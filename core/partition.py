"""The fold of one partition in offset order: epochs, duplicates, lateness, rejections.

Everything that depends on order happens here and is a function of (position, records) alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from core.cells import MINUTE_MS
from core.contract import DECODE_ERRORS, FUTURE_LIMIT_MS, OLDEST_MS, UNSTAMPED_MS, Contract, rejection
from core.delta import ACCEPTED, DUPLICATES, LATE, DeadLetter, Delta
from core.events import CLICKS, CURRENCY
from core.horizon import Horizon
from core.position import PartitionKey, Position
from core.rules import Rules
from core.verdict import Rejected


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

    def __init__(self, source: PartitionKey, position: Position, rules: Rules) -> None:
        self.source = source
        self.position = position
        self._rules = rules
        self._contract = Contract(source.topic)
        self._is_clicks = source.topic == CLICKS
        self._horizon = Horizon(rules.horizon)
        self._warm_epoch = -1

    @property
    def remembered(self) -> int:
        """How many event ids the duplicate memory holds."""
        return len(self._horizon)

    def warm_up(self, records: Sequence[Record]) -> None:
        """Fills the duplicate memory from records below the position; counts nothing."""
        horizon, validate, epoch_of = self._horizon, self._contract.validate, self._rules.epoch_of
        for record in records:
            epoch = epoch_of(record.timestamp)
            if epoch > self._warm_epoch:
                self._warm_epoch = epoch
                horizon.enter(epoch)
            try:
                event = validate(record.value, record.timestamp)[1]
            except Rejected:
                continue
            horizon.current.add(event.id)

    def fold(self, records: Sequence[Record], end: int, delta: Delta) -> None:  # noqa: C901, PLR0915 - the hot loop
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
        contract, horizon = self._contract, self._horizon
        decode, examine = contract.decode, contract.examine
        known_time, countries, own, in_money = contract.fast_path()
        epoch_ms, lateness_ms = self._rules.epoch_ms, self._rules.lateness_ms
        epoch, newest = self.position.epoch, self.position.newest_ms
        epoch_end = (epoch + 1) * epoch_ms
        horizon.enter(epoch)
        current, seen_earlier = horizon.current, horizon.seen_earlier
        accepted = duplicates = rejected = 0
        counted = 0
        minute = -1
        keep: Callable[[object], None] = _nowhere
        for record in records:
            append_ms = record.timestamp
            if append_ms >= epoch_end:
                delta.count(epoch, ACCEPTED, accepted - counted)
                counted = accepted
                epoch = append_ms // epoch_ms
                epoch_end = (epoch + 1) * epoch_ms
                horizon.enter(epoch)
                current, seen_earlier = horizon.current, horizon.seen_earlier
                minute = -1
            try:
                event = decode(record.value)
                data = event.data
                time_ms = known_time(event.time, 0)
                if not (
                    OLDEST_MS <= time_ms <= append_ms + FUTURE_LIMIT_MS
                    and data.country in countries
                    and event.__class__ is own
                    and (not in_money or data.currency == CURRENCY)  # type: ignore[union-attr]
                ):
                    time_ms = examine(event, append_ms)
            except Rejected as verdict:
                rejected += 1
                delta.reject(epoch, self._letter(record, verdict))
                continue
            except DECODE_ERRORS as error:
                rejected += 1
                delta.reject(epoch, self._letter(record, rejection(record.value, error, append_ms)))
                continue
            late = False
            if time_ms > newest:
                # an event from the future must not make all others late
                newest = max(newest, min(time_ms, append_ms))
            elif time_ms < newest - lateness_ms:
                late = True
            event_id = event.id
            known = len(current)
            current.add(event_id)
            if len(current) == known or seen_earlier(event_id):
                duplicates += 1
                delta.count(epoch, DUPLICATES)
                continue
            accepted += 1
            if late:
                delta.count(epoch, LATE)
            at = time_ms // MINUTE_MS
            if at != minute:
                minute = at
                keep = delta.keeper(epoch, minute, self._is_clicks)
            keep(data)
        delta.count(epoch, ACCEPTED, accepted - counted)
        delta.condense()
        old = self.position
        last = next((record for record in reversed(records) if record.timestamp != UNSTAMPED_MS), None)
        self.position = Position(
            next=end,
            epoch=epoch,
            newest_ms=newest,
            appended_ms=old.appended_ms if last is None else last.timestamp,
            first=old.first,
            accepted=old.accepted + accepted,
            duplicates=old.duplicates + duplicates,
            rejected=old.rejected + rejected,
            gaps=old.gaps + (end - start - len(records)),
            lost=old.lost,
            last=old.last if last is None else last.offset,
        )

    def _letter(self, record: Record, verdict: Rejected) -> DeadLetter:
        return DeadLetter(
            self.source,
            record.offset,
            record.timestamp,
            record.key,
            record.value,
            verdict.reason,
            verdict.detail,
        )


def _nowhere(data: object) -> None:
    raise AssertionError(data)
