"""What one event may add to each measure, by the limits of its fields."""

from __future__ import annotations

from typing import NamedTuple

from core.declaration.pipeline import Measure, Pipeline


class Bounds(NamedTuple):
    """The least and the most that an event of the measure's stream adds."""

    least: int
    most: int


def bounds_of(measure: Measure) -> Bounds:
    """By interval analysis of the measure's expression; what a condition or an absent field leaves out adds nothing."""
    if measure.sum is None:
        least = most = 1
    else:
        least, most = measure.sum.root.low, measure.sum.root.high
    if measure.where is not None or (measure.sum is not None and measure.sum.root.nullable):
        least, most = min(0, least), max(0, most)
    return Bounds(least, most)


class EventBounds:
    """Which sums events can add up to, where nobody says what they count for."""

    def __init__(self, pipeline: Pipeline) -> None:
        counted = pipeline.counted
        #: by measure: where its stream's events are counted, if they are; what each adds
        self._measures = [(counted.get(each.stream), bounds_of(each)) for each in pipeline.measures.values()]

    def possible(self, extra: tuple[int, ...], events: int) -> tuple[bool, ...]:
        """Which measures events can have added like this.

        Args:
            extra: What was added, by measure.
            events: How many events there are at most, of all streams.
        """
        return tuple(
            self._fits(number, place, bounds, extra, events)
            for number, (place, bounds) in zip(extra, self._measures, strict=True)
        )

    @staticmethod
    def _fits(number: int, place: int | None, bounds: Bounds, extra: tuple[int, ...], events: int) -> bool:
        if place is None:
            return min(0, bounds.least) * events <= number <= max(0, bounds.most) * events
        added = extra[place]
        return added >= 0 and bounds.least * added <= number <= bounds.most * added
