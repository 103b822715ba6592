"""What a store of speed views must do. Redis and the in-memory twin both do it."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, Protocol

from adapters.speed.held_cells import HeldCells
from adapters.speed.held_users import HeldUsers
from core.cells import Cell, Cells
from core.delta import Delta
from core.errors import ConfigurationError, UnavailableError
from core.position import PartitionKey, Position
from core.rollup import BY_MINUTES, Grain
from core.rules import Rules


@dataclass(frozen=True, slots=True)
class Step:
    """One partition's position from `old` to `new`, both encoded, and what to add with it: all or nothing.

    `old` is "" for none yet. `floor`: epochs below it may go; 0 keeps all. Raising the floor is part of the step.
    """

    partition: PartitionKey
    old: str
    new: str
    delta: Delta
    floor: int = 0


class Outcome(Enum):
    """What became of a step."""

    APPLIED = "applied"
    #: The position was at its new place already: the answer to an earlier try was lost.
    ALREADY = "already"
    #: The position is neither old nor new: somebody else owns the partition, or the store lost data.
    CONFLICT = "conflict"


class RefusedError(ConfigurationError):
    """The store cannot take a step, however often it is tried. Nothing of it was applied."""


class SpeedSink(Protocol):
    """The writer's side.

    Every method raises `UnavailableError` where the store is away, and `ConfigurationError` where it is
    not what it must be (it evicts, its password is another one, it never becomes a master).
    """

    async def begin(self, rules: Rules, identity: str) -> None:
        """Binds the view to its rules and to the log that it counts.

        A view that lost what it was bound to begins again, empty: no partition has a position. Raises
        `ConfigurationError` if it was begun under other rules or on another log.
        """

    async def positions(self, partitions: Iterable[PartitionKey]) -> dict[PartitionKey, str | None]:
        """Opens partitions, and lets go of all others: the encoded position of each, None where there is none.

        A partition that lost a part of what it holds begins again, empty: a step of who still knows its old
        position is a conflict.
        """

    async def all_positions(self) -> dict[PartitionKey, str]:
        """The encoded position of every partition that has one."""

    async def apply(self, steps: Sequence[Step]) -> dict[PartitionKey, Outcome]:
        """Applies steps of different partitions, each at most once, each whatever becomes of the others.

        Calling it again with the same steps is always safe. On a partition that lost a part of what it holds a step
        is a conflict. Raises `RefusedError` for a step that can never be taken: a sum that passes 64 bits. What is
        raised for one step says nothing of the others.
        """

    async def check(self) -> str | None:
        """What is wrong with the partitions that this sink has opened, in words; None if nothing is.

        One was emptied, or opened again by another worker, or lost a part of what it holds: positions must be restored.
        """

    async def close(self) -> None:
        """Closes connections."""


class Job(NamedTuple):
    """A version of a job: the name of its view, and of the logic that counts into it."""

    name: str
    logic: str
    created_ms: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A speed view at one instant, all parts of it from the same instant.

    `cells`: (epoch, minute of event time) to the cells there, epochs below `floor` left out.
    `floor`: the store's, or what the reader asked for if that is higher.
    `quality`: epoch to its counters by name (see `core.delta`).
    `totals`: (dimension, value) to the sum over all live epochs and minutes.
    `job`: the version that the view belongs to; None in modes that have one view.
    `states`: what whoever reads it must know about the store, in words. `users`: of each minute.
    `grain`: how fine event time is kept. `ranges`: epochs, first and last, whose cells and users are under the first one.
    `loading`: why cells and users are not there yet, in words, where only sums were asked for; "" where they are.
    """

    positions: Mapping[PartitionKey, Position]
    floor: int
    cells: Mapping[tuple[int, int], Cells]
    quality: Mapping[int, Mapping[str, int]]
    totals: Mapping[tuple[str, str], Cell]
    counters: Mapping[str, int] = field(default_factory=dict)
    job: Job | None = None
    states: tuple[str, ...] = ()
    users: HeldUsers = field(default_factory=HeldUsers)
    loading: str = ""
    grain: Grain = BY_MINUTES
    ranges: tuple[tuple[int, int], ...] = ()

    def start_of(self, epoch: int) -> int:
        """The first epoch of the range that an epoch was merged into; the epoch itself where it was not."""
        place = bisect_right(self.ranges, (epoch, sys.maxsize)) - 1
        return self.ranges[place][0] if place >= 0 and epoch <= self.ranges[place][1] else epoch

    @property
    def held(self) -> HeldCells:
        """The cells in columns. Raises `UnavailableError` while they are being read."""
        if self.loading:
            raise UnavailableError(self.loading)
        cells = self.cells
        return cells if isinstance(cells, HeldCells) else HeldCells.of(cells)

    def merged(self) -> Cells:
        """The cells summed over epochs."""
        return self.held.merged()

    @property
    def vector(self) -> dict[PartitionKey, int]:
        """The next offset of each partition."""
        return {source: position.next for source, position in self.positions.items()}


class SpeedFloor(Protocol):
    """The batch layer's side. Raises `UnavailableError` where the store is away."""

    def raise_floor(self, floor: int) -> None:
        """Epochs below `floor` are covered by batch views: they go, and are not written again."""


class SpeedReader(Protocol):
    """The reader's side.

    Raises `UnavailableError` where the store is away or the view lost a part of itself, and
    `ConfigurationError` where the store is not what it must be.
    """

    def read(self, since: int = 0, *, whole: bool = True) -> Snapshot:
        """The view as it is now, epochs below `since` left out.

        Where not the `whole` is wanted at once, sums are there at once, and the next calls read the cells piece by
        piece, until `Snapshot.loading` is empty.
        """

    def rules(self) -> Rules | None:
        """The rules that the view was begun under, None for a view that was never begun."""

    def close(self) -> None:
        """Closes connections."""
