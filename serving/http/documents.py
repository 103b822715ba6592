"""Cells as the API's documents have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from core.cells import Cell
from core.declaration.pipeline import ALL, Pipeline
from core.event_counts import rank_of
from serving.answer import Answer
from serving.live import counts_document
from serving.totals import Key, Ranked


class Documents:
    """Of one pipeline."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._measures = tuple(pipeline.measures)
        self._rank = rank_of(pipeline)

    def totals(self, answer: Answer, dimension: str, provenance: Mapping[str, Any]) -> dict[str, Any]:
        """A `serving.http.models.Models.totals`."""
        values = {} if dimension == ALL else Ranked(answer.totals, self._rank).get(dimension, {})
        counts = counts_document(answer, self._measures, provenance)
        return {"dimension": dimension, "values": self._listed(values.items()), **counts}

    def measures(self, cell: Cell) -> dict[str, int]:
        """A cell by name of its measures."""
        return dict(zip(self._measures, cell, strict=True))

    def largest(self, sums: Mapping[Key, Cell], dimension: str, measure: str, number: int) -> list[dict[str, Any]]:
        """The `number` values of a dimension that have the most of a measure; those with nothing left out."""
        place = self._measures.index(measure)
        found = [(value, cell) for (name, value), cell in sums.items() if name == dimension and cell[place]]
        found.sort(key=lambda item: (-item[1][place], item[0]))
        return self._listed(found[:number])

    def _listed(self, values: Iterable[tuple[str, Cell]]) -> list[dict[str, Any]]:
        return [{"value": value, **self.measures(cell)} for value, cell in values]
