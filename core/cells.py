"""Cells: what was counted, at (minute of event time, dimension, value). A commutative monoid."""

from __future__ import annotations

from collections.abc import Mapping
from operator import add, sub
from typing import Final, NamedTuple, Self, TypeVar

from core.errors import ConfigurationError
from core.rfc3339 import to_text

Key = TypeVar("Key")

#: Cells are a minute of event time wide.
MINUTE_MS: Final = 60_000
#: Stores and files hold a measure in 64 bits.
LARGEST: Final = 2**63 - 1


class CellOverflowError(ConfigurationError):
    """A measure of a cell is above `LARGEST`: no store can hold it, and a smaller number would be wrong.

    `where`: the cell and the measure, for people.
    """

    where: str = ""

    @classmethod
    def at(cls, key: CellKey, measure: str) -> Self:
        """The error for one cell."""
        value = f" {key.value!a}" if key.value else ""
        where = f"{measure} of {key.dimension}{value} at {_time_of(key.minute)}"
        error = cls(
            f"{where} is above {LARGEST:,}: "
            "nothing is published, the version before answers; find which events add so much, and begin with other "
            "topics and another FOURFOLD_LAKE"
        )
        error.where = where
        return error


def _time_of(minute: int) -> str:
    try:
        return to_text(minute * MINUTE_MS)[:16]
    except (ValueError, OverflowError):
        return f"minute {minute}"


class CellKey(NamedTuple):
    """Where something is counted. `minute` is minutes since 1970 in UTC."""

    minute: int
    dimension: str
    value: str


class Cell(tuple[int, ...]):
    """The sums of one cell, by measure in declared order (`Pipeline.measures`)."""

    __slots__ = ()

    def plus(self, other: Cell) -> Cell:
        """The sum, measure by measure."""
        return Cell(map(add, self, other))

    def minus(self, other: Cell) -> Cell:
        """The difference, measure by measure."""
        return Cell(map(sub, self, other))


Cells = dict[CellKey, Cell]


def merge(*parts: Mapping[Key, Cell]) -> dict[Key, Cell]:
    """The sum of views, by whatever their cells are under. Associative and commutative; the empty mapping is its identity."""
    out: dict[Key, Cell] = dict(parts[0]) if parts else {}
    for part in parts[1:]:
        for key, cell in part.items():
            old = out.get(key)
            out[key] = cell if old is None else old.plus(cell)
    return out


def totals(cells: Mapping[CellKey, Cell], dimension: str = "all") -> dict[str, Cell]:
    """Sums over all minutes, by value of one dimension."""
    out: dict[str, Cell] = {}
    for key, cell in cells.items():
        if key.dimension == dimension:
            old = out.get(key.value)
            out[key.value] = cell if old is None else old.plus(cell)
    return out
