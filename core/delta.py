"""A delta: what a batch of records adds to a speed view, epoch by epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from core.cells import MINUTE_MS, Cell, CellKey, Cells, merge
from core.kernel.aggregate import Aggregate, Tally
from core.position import PartitionKey

ACCEPTED: Final = "accepted"
DUPLICATES: Final = "duplicates"
LATE: Final = "late"
REJECTED: Final = "rejected:"


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

    @property
    def cells(self) -> Cells:
        """The cells of the events condensed so far."""
        return merge(
            *(
                {
                    CellKey(self._minute, dimension, value): Cell(sums)
                    for dimension, value, sums in aggregate.cells(tally)
                }
                for aggregate, tally in self._tallies.items()
            )
        )

    def columns(self) -> Iterator[tuple[str, list[str], list[Sequence[int]]]]:
        """`cells` in columns, as `Aggregate.columns` gives them; where several streams add to a dimension, several times."""
        for aggregate, tally in self._tallies.items():
            yield from aggregate.columns(tally)

    @property
    def users(self) -> list[str]:
        """With repetitions: the sketch that they go into does not mind."""
        return [
            user
            for aggregate, tally in self._tallies.items()
            if aggregate.users is not None
            for user in tally.distinct[aggregate.users]
        ]


class Delta:
    """Collects what records of any number of partitions add. Empty after construction."""

    def __init__(self) -> None:
        self.minutes: dict[tuple[int, int], Minute] = {}
        #: those that may hold events
        self._open: dict[tuple[int, int, Aggregate], Tally] = {}
        self.quality: dict[int, Counter[str]] = {}
        self.dead_letters: list[DeadLetter] = []

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
            others = [place for place, time_ms in enumerate(times) if not start <= time_ms < end]
            for place in reversed(others):
                self._tally(epoch, times[place] // MINUTE_MS, aggregate).events.append(kept.pop(place))
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

    def cells(self) -> dict[int, Cells]:
        """Epoch to the cells that this delta adds there."""
        out: dict[int, Cells] = {}
        for (epoch, _), held in self.minutes.items():
            out[epoch] = merge(out.get(epoch, {}), held.cells)
        return out
