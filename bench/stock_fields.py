"""How the stock agent writes cells as fields of a hash: `<dimension><measure>:<value>`, one integer each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import ascii_letters, digits
from typing import Final

from core.cells import Cell, CellKey, Cells
from core.declaration.pipeline import Pipeline

_VOWELS: Final = "aeiou"
#: What stands for a name, at worst: as many as a pipeline may have dimensions or measures, and `all`.
_OTHERS: Final = ascii_letters + digits + "-_."


class CellFields:
    """Writes and reads the fields of one pipeline."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._measures = tuple(pipeline.measures)
        self._measure_codes = codes(self._measures)
        dimension_codes = codes(pipeline.dimension_names)
        self._dimension_of = dict(zip(dimension_codes, pipeline.dimension_names, strict=True))
        self._place_of = {code: place for place, code in enumerate(self._measure_codes)}
        self._prefixes = {
            name: tuple(f"{dimension}{measure}:" for measure in self._measure_codes)
            for dimension, name in self._dimension_of.items()
        }
        self._zeros = [0] * len(self._measures)

    def of(self, cells: Mapping[CellKey, Cell]) -> list[str | int]:
        """`[field, value, field, value, ...]`, zeros left out."""
        flat: list[str | int] = []
        prefixes = self._prefixes
        for (_, dimension, value), cell in cells.items():
            for prefix, number in zip(prefixes[dimension], cell, strict=True):
                if number:
                    flat += (prefix + value, number)
        return flat

    def cells(self, minute: int, pairs: Iterable[tuple[str, int]]) -> Cells:
        """The inverse of `of` for the hash of one minute. Raises `KeyError` or `IndexError` for a field of another view."""
        numbers: dict[CellKey, list[int]] = {}
        for name, number in pairs:
            key = CellKey(minute, self._dimension_of[name[0]], name[3:])
            cell = numbers.get(key)
            if cell is None:
                cell = numbers[key] = self._zeros.copy()
            cell[self._place_of[name[1]]] = number
        return {key: Cell(cell) for key, cell in numbers.items()}


def codes(names: Iterable[str]) -> str:
    """A sign for each name, no two alike.

    A name's first letter, where no earlier name has it; else the first of its consonants that is free, of its other
    signs, of all signs.
    """
    taken = ""
    for name in names:
        consonants = [sign for sign in name if sign.isalpha() and sign not in _VOWELS]
        taken += next(sign for sign in (name[0], *consonants, *name, *_OTHERS) if sign not in taken)
    return taken
