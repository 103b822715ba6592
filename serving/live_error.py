"""The live error: how far totals are from the truth, records without a truth header taken into account."""

from __future__ import annotations

from collections.abc import Mapping

from core.cells import Cell
from core.declaration.pipeline import Pipeline
from core.event_bounds import EventBounds

_Totals = Mapping[tuple[str, str], Cell]


class LiveError:
    """Of the totals of one pipeline."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._dimensions = pipeline.dimension_names
        self._zero = pipeline.zero
        self._counts = list(pipeline.counted.values())
        self._bounds = EventBounds(pipeline)

    def of(self, totals: _Totals, true: _Totals, unaudited: int) -> int:
        """How far totals by (dimension, value) are from the true ones; what unaudited records explain is no error.

        Args:
            totals: The view's.
            true: What the audited records count for.
            unaudited: How many other records there are.
        """
        error = 0
        left = dict.fromkeys(self._dimensions, unaudited)
        for key in totals.keys() | true.keys():
            seen, known = totals.get(key, self._zero), true.get(key, self._zero)
            if seen == known:
                continue
            extra = seen.minus(known)
            allowed = self._bounds.possible(extra, unaudited)
            error += sum(abs(number) for number, fits in zip(extra, allowed, strict=True) if not fits)
            left[key[0]] -= sum(max(0, extra[place]) for place in self._counts)
        return error + sum(-number for number in left.values() if number < 0)
