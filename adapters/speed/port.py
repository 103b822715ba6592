"""What a store of speed views must do. Redis and the in-memory twin both do it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, Protocol

from core.cells import Cell, Cells, merge
from core.delta import Delta
from core.errors import ConfigurationError
from core.position import PartitionKey, Position
from core.rules import Rules


class Move(NamedTuple):
    """One partition's position from `old` to `new`, both encoded; `old` is "" for none yet."""

    source: PartitionKey
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Step:
    """Positions to move and what to add, all or nothing.

    `floor`: epochs below it may go; 0 keeps all. Raising the floor is part of the step.
    """

    moves: Sequence[Move]
    delta: Delta
    floor: int = 0


class Outcome(Enum):
    """What became of a step."""

    APPLIED = "applied"
    #: All positions were at their new place already: the answer to an earlier try was lost.
    ALREADY = "already"
    #: A position is neither old nor new: somebody else owns the partition, or the store lost data.
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

        A view that lost a part of itself begins again, empty: no position is left, and a step of
        who still knows the old one is a conflict. Raises `ConfigurationError` if it was begun under
        other rules or on another log.
        """

    async def positions(self, sources: Iterable[PartitionKey]) -> dict[PartitionKey, str | None]:
        """The encoded position of each partition, None where there is none."""

    async def all_positions(self) -> dict[PartitionKey, str]:
        """The encoded position of every partition that has one."""

    async def apply(self, step: Step) -> Outcome:
        """Applies a step at most once. Calling it again with the same step is always safe.

        On a view that lost a part of itself it is a conflict. Raises `RefusedError` for a step that
        can never be taken: a sum that passes 64 bits.
        """

    async def check(self) -> str | None:
        """What is wrong with the view as this sink began it, in words; None if nothing is.

        It was emptied, or begun again, or lost a part of itself: positions must be restored.
        """

    async def close(self) -> None:
        """Closes connections."""


class Job(NamedTuple):
    """A version of a job: the name of its view, and of the logic that counts into it."""

    name: str
    logic: str
    created_ms: int


def view_of(namespace: str, job: str) -> str:
    """The name of the speed view of a job version."""
    return f"{namespace}.{job}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A speed view at one instant, all parts of it from the same instant.

    `cells`: (epoch, minute of event time) to the cells there, epochs below `floor` left out.
    `floor`: the store's, or what the reader asked for if that is higher.
    `quality`: epoch to its counters by name (see `core.delta`).
    `totals`: (dimension, value) to the sum over all live epochs and minutes.
    `job`: the version that the view belongs to; None in modes that have one view.
    `states`: what whoever reads it must know about the store, in words.
    """

    positions: Mapping[PartitionKey, Position]
    floor: int
    cells: Mapping[tuple[int, int], Cells]
    quality: Mapping[int, Mapping[str, int]]
    totals: Mapping[tuple[str, str], Cell]
    counters: Mapping[str, int] = field(default_factory=dict)
    job: Job | None = None
    states: tuple[str, ...] = ()

    def merged(self) -> Cells:
        """The cells summed over epochs."""
        return merge(*self.cells.values())

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

    def read(self, since: int = 0) -> Snapshot:
        """The view as it is now, epochs below `since` left out."""

    def users_sketch(self, minutes: Iterable[int], more: Iterable[str] = ()) -> int:
        """As `distinct_users`, of the users `more` and those of these minutes together."""

    def distinct_users(self, minutes: Iterable[int]) -> int:
        """Distinct users of these minutes of event time, estimated (error about 0.8 %)."""

    def rules(self) -> Rules | None:
        """The rules that the view was begun under, None for a view that was never begun."""

    def close(self) -> None:
        """Closes connections."""
