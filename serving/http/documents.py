"""Cells as the API's documents have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from core.cells import Cell
from serving.answer import Answer, Key
from serving.http.models import Dimension
from serving.live import by_dimension, counts_document


def totals_document(answer: Answer, dimension: Dimension, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """A `serving.http.models.Totals`."""
    values = {} if dimension == "all" else by_dimension(answer.totals).get(dimension, {})
    return {"dimension": dimension, "values": listed(values.items()), **counts_document(answer, provenance)}


def listed(values: Iterable[tuple[str, Cell]]) -> list[dict[str, Any]]:
    """A list of `serving.http.models.ValueMeasures`."""
    return [{"value": value, **cell._asdict()} for value, cell in values]


def largest(sums: Mapping[Key, Cell], dimension: str, measure: str, number: int) -> list[dict[str, Any]]:
    """The `number` values of a dimension that have the most of a measure; those with nothing left out."""
    found = [(value, cell) for (name, value), cell in sums.items() if name == dimension and getattr(cell, measure)]
    found.sort(key=lambda item: (-getattr(item[1], measure), item[0]))
    return listed(found[:number])
