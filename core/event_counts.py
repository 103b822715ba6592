"""How many events a cell counts, as far as its measures tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter

from core.declaration.pipeline import Pipeline

#: A cell to a number.
Number = Callable[[Sequence[int]], int]


def events_of(pipeline: Pipeline) -> Number:
    """How many events a cell counts: those of the streams that have a measure which counts them all."""
    return _sum_of(*pipeline.counted.values())


def rank_of(pipeline: Pipeline) -> Number:
    """What the values of a dimension are ranked by: their events; the first measure where none counts events."""
    return _sum_of(*(pipeline.counted.values() or [0]))


def _sum_of(*places: int) -> Number:
    if not places:
        return lambda _: 0
    if len(places) == 1:
        return itemgetter(*places)
    chosen = itemgetter(*places)
    return lambda cell: sum(chosen(cell))
