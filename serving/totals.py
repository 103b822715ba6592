"""Totals of an answer: the sum of two views, and their values by rank, made when somebody asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from core.cells import Cell, merge
from core.event_counts import Number

Key = tuple[str, str]


class SummedTotals(Mapping[Key, Cell]):
    """(dimension, value) to the sum of what two views have, those with nothing left out. Immutable."""

    def __init__(self, one: Mapping[Key, Cell], other: Mapping[Key, Cell]) -> None:
        self._one = one
        self._other = other
        self._whole: dict[Key, Cell] | None = None

    def __getitem__(self, key: Key) -> Cell:
        one, other = self._one.get(key), self._other.get(key)
        if one is None or other is None:
            found = other if one is None else one
            if found is None:
                raise KeyError(key)
        else:
            found = one.plus(other)
        if not any(found):
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[Key]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> dict[Key, Cell]:
        if self._whole is None:
            self._whole = {key: cell for key, cell in merge(self._one, self._other).items() if any(cell)}
        return self._whole


class Ranked(Mapping[str, dict[str, Cell]]):
    """Dimension to its values, the largest first."""

    def __init__(self, totals: Mapping[Key, Cell], rank: Number) -> None:
        self._totals = totals
        self._rank = rank
        self._dimensions: dict[str, dict[str, Cell]] = {}

    def __getitem__(self, dimension: str) -> dict[str, Cell]:
        if dimension not in self._dimensions:
            found = [(value, cell) for (name, value), cell in self._totals.items() if name == dimension]
            if not found:
                raise KeyError(dimension)
            found.sort(key=lambda item: (-self._rank(item[1]), item[0]))
            self._dimensions[dimension] = dict(found)
        return self._dimensions[dimension]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(dimension for dimension, _ in self._totals))

    def __len__(self) -> int:
        return len({dimension for dimension, _ in self._totals})
