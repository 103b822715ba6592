"""A delta: what a batch of records adds to a speed view, epoch by epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final, NamedTuple

from core.cells import Cells, merge
from core.events import ClickData, SaleData
from core.fold import Tally
from core.logic import STANDARD, Logic
from core.position import PartitionKey

ACCEPTED: Final = "accepted"
DUPLICATES: Final = "duplicates"
LATE: Final = "late"
REJECTED: Final = "rejected:"

_user_of: Final = attrgetter("user_id")


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

    __slots__ = ("_minute", "_tally", "clicks", "sales", "users")

    def __init__(self, minute: int, logic: Logic = STANDARD) -> None:
        """`minute`: minutes since 1970 in UTC."""
        self._minute = minute
        self._tally = Tally(logic)
        self.clicks: list[ClickData] = []
        self.sales: list[SaleData] = []
        #: with repetitions: the sketch that they go into does not mind
        self.users: list[str] = []

    @property
    def cells(self) -> Cells:
        """The cells of the events condensed so far."""
        return self._tally.cells(self._minute)

    def condense(self) -> None:
        """Counts the events and lets go of them."""
        if self.clicks:
            self._tally.add_clicks(self.clicks)
            self.users.extend(map(_user_of, self.clicks))
            self.clicks.clear()
        if self.sales:
            self._tally.add_sales(self.sales)
            self.users.extend(map(_user_of, self.sales))
            self.sales.clear()


class Delta:
    """Collects what records of any number of partitions add. Empty after construction."""

    def __init__(self, logic: Logic = STANDARD) -> None:
        self._logic = logic
        self.minutes: dict[tuple[int, int], Minute] = {}
        #: those that may hold events
        self._open: dict[tuple[int, int], Minute] = {}
        self.quality: dict[int, Counter[str]] = {}
        self.dead_letters: list[DeadLetter] = []

    def keeper(self, epoch: int, minute: int, is_clicks: bool) -> Callable[[Any], None]:
        """What takes the accepted clicks (or sales) at (epoch, minute of event time)."""
        found = self.minutes.get((epoch, minute))
        if found is None:
            found = self.minutes[epoch, minute] = Minute(minute, self._logic)
        self._open[epoch, minute] = found
        return found.clicks.append if is_clicks else found.sales.append

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
        for held in self._open.values():
            held.condense()
        self._open.clear()

    def cells(self) -> dict[int, Cells]:
        """Epoch to the cells that this delta adds there."""
        out: dict[int, Cells] = {}
        for (epoch, _), held in self.minutes.items():
            out[epoch] = merge(out.get(epoch, {}), held.cells)
        return out
