"""A delta: what a batch of records adds to a speed view, epoch by epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final, NamedTuple

from core.cells import Cells, merge
from core.events import ClickData, SaleData
from core.fold import fold_clicks, fold_sales
from core.position import PartitionKey
from core.verdict import Reason

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
    reason: Reason
    detail: str


@dataclass(slots=True)
class Minute:
    """What is added at one minute of event time: cells, and accepted events not yet folded."""

    cells: Cells = field(default_factory=dict)
    #: with repetitions: the sketch that they go into does not mind
    users: list[str] = field(default_factory=list)
    clicks: list[ClickData] = field(default_factory=list)
    sales: list[SaleData] = field(default_factory=list)

    def condense(self, minute: int) -> None:
        """Folds the events into the cells."""
        if self.clicks:
            self.cells = merge(self.cells, fold_clicks(minute, self.clicks))
            self.users.extend(map(_user_of, self.clicks))
            self.clicks.clear()
        if self.sales:
            self.cells = merge(self.cells, fold_sales(minute, self.sales))
            self.users.extend(map(_user_of, self.sales))
            self.sales.clear()


class Delta:
    """Collects what records of any number of partitions add. Empty after construction."""

    def __init__(self) -> None:
        self.minutes: dict[tuple[int, int], Minute] = {}
        self.quality: dict[int, Counter[str]] = {}
        self.dead_letters: list[DeadLetter] = []

    def keeper(self, epoch: int, minute: int, is_clicks: bool) -> Callable[[Any], None]:
        """What takes the accepted clicks (or sales) at (epoch, minute of event time)."""
        found = self.minutes.get((epoch, minute))
        if found is None:
            found = self.minutes[epoch, minute] = Minute()
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
        """Folds events into cells; called by the fold after each slice of records."""
        for (_, minute), held in self.minutes.items():
            held.condense(minute)

    def cells(self) -> dict[int, Cells]:
        """Epoch to the cells that this delta adds there."""
        out: dict[int, Cells] = {}
        for (epoch, _), held in self.minutes.items():
            out[epoch] = merge(out.get(epoch, {}), held.cells)
        return out
