"""A delta: what a batch of records adds to a speed view, epoch by epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from core.cells import MINUTE_MS, Cell, CellKey, Cells
from core.kernel.aggregate import Aggregate, Columns, Tally
from core.position import PartitionKey

ACCEPTED: Final = "accepted"
DUPLICATES: Final = "duplicates"
LATE: Final = "late"
REJECTED: Final = "rejected:"

#: Events of more minutes are not added up minute by minute: few of them would meet.
_MANY_MINUTES: Final = 8


class DeadLetter(NamedTuple):
    """A rejected record as it was, where it was, and why it was rejected."""

    source: PartitionKey
    offset: int
    append_ms: int
    key: bytes | None
    value: bytes | None
    reason: str
    detail: str


class Minute:
    """What is added at one minute of event time: what was counted, and events not yet counted."""

    __slots__ = ("_minute", "_tallies")

    def __init__(self, minute: int) -> None:
        """`minute`: minutes since 1970 in UTC."""
        self._minute = minute
        self._tallies: dict[Aggregate, Tally] = {}

    def tally(self, aggregate: Aggregate) -> Tally:
        """Of the events of one stream."""
        found = self._tallies.get(aggregate)
        if found is None:
            found = self._tallies[aggregate] = aggregate.tally()
        return found

    def columns(self) -> Iterator[Columns]:
        """The cells of the events condensed so far; a dimension comes again for each stream that adds to it."""
        for aggregate, tally in self._tallies.items():
            yield from aggregate.columns(self._minute, tally)

    @property
    def users(self) -> list[str]:
        """With repetitions: the sketch that they go into does not mind."""
        return [
            user
            for aggregate, tally in self._tallies.items()
            if aggregate.users is not None
            for user in tally.distinct[aggregate.users]
        ]


class _Spread:
    """What events of many minutes add, event by event."""

    __slots__ = ("columns", "events", "users")

    def __init__(self) -> None:
        self.columns: list[Columns] = []
        self.users: dict[int, list[str]] = {}
        #: minutes and events by stream, not yet counted
        self.events: dict[Aggregate, tuple[list[int], list[Any]]] = {}

    def condense(self) -> None:
        for aggregate, (minutes, events) in self.events.items():
            columns, users = aggregate.rows(minutes, events)
            self.columns += columns
            for minute, found in users.items():
                self.users.setdefault(minute, []).extend(found)
        self.events.clear()


class Delta:
    """Collects what records of any number of partitions add. Empty after construction."""

    def __init__(self) -> None:
        self.minutes: dict[tuple[int, int], Minute] = {}
        #: those that may hold events
        self._open: dict[tuple[int, int, Aggregate], Tally] = {}
        self._spread: dict[int, _Spread] = {}
        self.quality: dict[int, Counter[str]] = {}
        self.dead_letters: list[DeadLetter] = []

    def __bool__(self) -> bool:
        """Whether it adds anything."""
        return bool(self.minutes or self._spread or self.quality)

    def keep(self, epoch: int, aggregate: Aggregate, times: Sequence[int], events: Sequence[Any]) -> None:
        """Takes accepted events of one stream and epoch.

        Args:
            epoch: Of their records.
            aggregate: Of their stream.
            times: Event times, ms since 1970.
            events: The events.
        """
        if not events:
            return
        kept = list(events if aggregate.kept is None else map(aggregate.kept, events))
        # most are of one minute
        minute = times[0] // MINUTE_MS
        start = minute * MINUTE_MS
        end = start + MINUTE_MS
        if min(times) < start or max(times) >= end:
            minutes = [time_ms // MINUTE_MS for time_ms in times]
            if len(set(minutes)) > _MANY_MINUTES:
                held = self._spread.setdefault(epoch, _Spread()).events.setdefault(aggregate, ([], []))
                held[0].extend(minutes)
                held[1].extend(kept)
                return
            others = [place for place, other in enumerate(minutes) if other != minute]
            for place in reversed(others):
                self._tally(epoch, minutes[place], aggregate).events.append(kept.pop(place))
        self._tally(epoch, minute, aggregate).events.extend(kept)

    def _tally(self, epoch: int, minute: int, aggregate: Aggregate) -> Tally:
        found = self._open.get((epoch, minute, aggregate))
        if found is None:
            at = self.minutes.get((epoch, minute))
            if at is None:
                at = self.minutes[epoch, minute] = Minute(minute)
            found = self._open[epoch, minute, aggregate] = at.tally(aggregate)
        return found

    def count(self, epoch: int, name: str, by: int = 1) -> None:
        """Adds to a quality counter of an epoch: one of the names above."""
        if not by:
            return
        counter = self.quality.get(epoch)
        if counter is None:
            counter = self.quality[epoch] = Counter()
        counter[name] += by

    def reject(self, epoch: int, letter: DeadLetter) -> None:
        """Counts and keeps a rejected record."""
        self.count(epoch, REJECTED + letter.reason)
        self.dead_letters.append(letter)

    def condense(self) -> None:
        """Counts the events kept so far; called by the fold after each slice of records."""
        for (_, _, aggregate), tally in self._open.items():
            aggregate.condense(tally)
        self._open.clear()
        for spread in self._spread.values():
            spread.condense()

    def columns(self) -> Iterator[tuple[int, Columns]]:
        """(epoch, columns) of all that was condensed. Keys may repeat: what they add is added up."""
        for (epoch, _), held in self.minutes.items():
            for columns in held.columns():
                yield epoch, columns
        for epoch, spread in self._spread.items():
            for columns in spread.columns:
                yield epoch, columns

    def users(self) -> Iterator[tuple[int, int, list[str]]]:
        """(epoch, minute, users that views hold), with repetitions of users and places."""
        for (epoch, minute), held in self.minutes.items():
            if users := held.users:
                yield epoch, minute, users
        for epoch, spread in self._spread.items():
            for minute, users in spread.users.items():
                yield epoch, minute, users

    def cells(self) -> dict[int, Cells]:
        """Epoch to the cells that this delta adds there."""
        out: dict[int, Cells] = {}
        for epoch, columns in self.columns():
            dimension, minutes, values, sums = columns
            zeros = [0] * len(values)
            cells = out.setdefault(epoch, {})
            for minute, value, *numbers in zip(minutes, values, *(column or zeros for column in sums), strict=True):
                key, cell = CellKey(minute, dimension, value), Cell(numbers)
                old = cells.get(key)
                cells[key] = cell if old is None else old.plus(cell)
        return out
