"""How cells are written as fields of a hash: `<dimension><measure>:<value>`, one integer each.

Two letters and a value: short, since Redis keeps them for each minute, and safe with any value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from core.cells import DIMENSIONS, MEASURES, MINUTE_MS, Cell, CellKey, Cells
from core.rfc3339 import to_text

_DIMENSION_CODES: Final = dict(zip(DIMENSIONS, "acpn", strict=True))
_DIMENSION_OF: Final = {code: name for name, code in _DIMENSION_CODES.items()}
_MEASURE_CODES: Final = "csur"

#: In place of a minute: the hash of an epoch's quality counters.
QUALITY: Final = "q"
#: In each hash: how many fields it has with this one, as the last step left it.
FIELDS: Final = "#"


def to_fields(cells: Mapping[CellKey, Cell]) -> list[str | int]:
    """`[field, value, field, value, ...]`, zeros left out."""
    flat: list[str | int] = []
    for key, cell in cells.items():
        dimension = _DIMENSION_CODES[key.dimension]
        for code, number in zip(_MEASURE_CODES, cell, strict=True):
            if number:
                flat += (f"{dimension}{code}:{key.value}", number)
    return flat


def from_fields(minute: int, pairs: Iterable[tuple[str, int]]) -> Cells:
    """The inverse of `to_fields` for the hash of one minute."""
    numbers: dict[CellKey, list[int]] = {}
    for name, number in pairs:
        key = CellKey(minute, _DIMENSION_OF[name[0]], name[3:])
        cell = numbers.get(key)
        if cell is None:
            cell = numbers[key] = [0, 0, 0, 0]
        cell[_MEASURE_CODES.index(name[1])] = number
    return {key: Cell(*cell) for key, cell in numbers.items()}


def said(key: str, field: str) -> str:
    """A field of a hash of a view, for people. Anything else as it is."""
    place = key.rsplit(":", 2)
    if ":cells:" not in key or not field:
        return f"{key} {field}".strip()
    if place[-1] == QUALITY:
        return f"the counter {field!r} of epoch {place[-2]}"
    try:
        when = to_text(int(place[-1]) * MINUTE_MS)[:16]
        dimension, measure = _DIMENSION_OF[field[0]], MEASURES[_MEASURE_CODES.index(field[1])]
    except (ValueError, KeyError, IndexError, OverflowError):
        return f"{key} {field}"
    value = f" {field[3:]!r}" if field[3:] else ""
    return f"the cell {when} {dimension}{value}, {measure},"
