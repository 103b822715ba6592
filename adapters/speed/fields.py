"""How cells are written as fields of a hash: `<dimension><measure>:<value>`, one integer each.

Two letters and a value: short, since Redis keeps them for each minute, and safe with any value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import ascii_letters, digits
from typing import Final

from core.cells import MINUTE_MS, Cell, CellKey, Cells
from core.declaration.pipeline import Pipeline
from core.rfc3339 import to_text

#: In place of a minute: the hash of an epoch's quality counters.
QUALITY: Final = "q"
#: In each hash: how many fields it has with this one, as the last step left it.
FIELDS: Final = "#"
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
        #: what is added where a minute has no cells: each has a hash
        self.nothing: tuple[str, int] = (f"{dimension_codes[0]}{self._measure_codes[0]}:", 0)

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

    def said(self, key: str, field: str) -> str:
        """A field of a hash of a view, for people. Anything else as it is."""
        place = key.rsplit(":", 2)
        if ":cells:" not in key or not field:
            return f"{key} {field}".strip()
        if place[-1] == QUALITY:
            return f"the counter {field!r} of epoch {place[-2]}"
        try:
            when = to_text(int(place[-1]) * MINUTE_MS)[:16]
            dimension, measure = self._dimension_of[field[0]], self._measures[self._place_of[field[1]]]
        except (ValueError, KeyError, IndexError, OverflowError):
            return f"{key} {field}"
        value = f" {field[3:]!r}" if field[3:] else ""
        return f"the cell {when} {dimension}{value}, {measure},"


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
