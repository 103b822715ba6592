"""What records without a truth header may add to a view.

Nobody said what they count for. So in an epoch that has some, a view may show more than the truth that is known:
as much as that many records can add, and no more. Where there are none, nothing is allowed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from core.cells import Cell, CellKey, Cells
from core.declaration.pipeline import ALL, Pipeline
from core.delta import ACCEPTED, LATE
from core.event_bounds import EventBounds
from core.event_counts import events_of
from serving.difference import Difference, name_of


def surplus_differences(
    pipeline: Pipeline,
    cells: Cells,
    counters: Mapping[str, int],
    true_cells: Cells,
    true_counters: Mapping[str, int],
    unaudited: int,
) -> Iterator[Difference]:
    """What that many unaudited records do not explain.

    Args:
        pipeline: What is counted.
        cells: The view's, of one epoch (or of all that the batch view covers).
        counters: The view's, of the same.
        true_cells: What the audited records count for.
        true_counters: The same of counters.
        unaudited: How many other records there are.
    """
    extra = {name: counters.get(name, 0) - true_counters.get(name, 0) for name in counters.keys() | true_counters}
    late = extra.pop(LATE, 0)
    for name, number in sorted(extra.items()):
        if number < 0:
            yield Difference("quality", name, counters.get(name, 0), true_counters[name])
    if sum(extra.values()) != unaudited:
        yield Difference("quality", "records without a truth header", sum(extra.values()), unaudited)
    if not 0 <= late <= extra.get(ACCEPTED, 0):
        yield Difference("quality", LATE, counters.get(LATE, 0), true_counters.get(LATE, 0))
    yield from _cell_differences(pipeline, cells, true_cells, extra.get(ACCEPTED, 0))


def _cell_differences(pipeline: Pipeline, cells: Cells, true_cells: Cells, accepted: int) -> Iterator[Difference]:
    zero, bounds = pipeline.zero, EventBounds(pipeline)
    added: dict[tuple[int, str], Cell] = {}
    for key in sorted(cells.keys() | true_cells.keys()):
        seen, true = cells.get(key, zero), true_cells.get(key, zero)
        if seen == true:
            continue
        extra = seen.minus(true)
        possible = bounds.possible(extra, max(0, accepted))
        for measure, allowed, a, b in zip(pipeline.measures, possible, seen, true, strict=True):
            if not allowed:
                yield Difference(name_of(key), measure, a, b)
        added[key.minute, key.dimension] = added.get((key.minute, key.dimension), zero).plus(extra)
    yield from _sum_differences(pipeline, added, accepted)


def _sum_differences(pipeline: Pipeline, added: Mapping[tuple[int, str], Cell], accepted: int) -> Iterator[Difference]:
    """What was added by (minute, dimension), which must be the same in each dimension."""
    zero = pipeline.zero
    minutes = sorted({minute for minute, _ in added})
    for minute in minutes:
        whole = added.get((minute, ALL), zero)
        for dimension in pipeline.dimensions:
            # each event is once in each dimension that its stream has
            part = added.get((minute, dimension), zero)
            for measure, a, b in zip(pipeline.measures.values(), part, whole, strict=True):
                if a != b and pipeline.always_has(measure.stream, dimension):
                    yield Difference(f"{name_of(CellKey(minute, dimension, ''))}, all values", measure.name, a, b)
    if pipeline.counted.keys() != pipeline.streams.keys():
        # events of some streams are in no measure
        return
    events = events_of(pipeline)
    counted = sum(events(added.get((minute, ALL), zero)) for minute in minutes)
    if counted != accepted:
        yield Difference("quality", "accepted without a truth header", counted, accepted)
