"""What records without a truth header may add to a view.

Nobody said what they count for. So in an epoch that has some, a view may show more than the truth that is known:
as much as that many records can add, and no more. Where there are none, nothing is allowed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from core.cells import DIMENSIONS, MEASURES, Cell, CellKey, Cells
from core.delta import ACCEPTED, LATE
from serving.difference import Difference, name_of
from serving.live_error import possible


def surplus_differences(
    cells: Cells, counters: Mapping[str, int], true_cells: Cells, true_counters: Mapping[str, int], unaudited: int
) -> Iterator[Difference]:
    """What that many unaudited records do not explain.

    Args:
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
    yield from _cell_differences(cells, true_cells, extra.get(ACCEPTED, 0))


def _cell_differences(cells: Cells, true_cells: Cells, accepted: int) -> Iterator[Difference]:
    added: defaultdict[tuple[int, str], Cell] = defaultdict(Cell)
    for key in sorted(cells.keys() | true_cells.keys()):
        seen, true = cells.get(key, Cell()), true_cells.get(key, Cell())
        if seen == true:
            continue
        extra = Cell(*(a - b for a, b in zip(seen, true, strict=True)))
        for measure, allowed, a, b in zip(MEASURES, possible(extra), seen, true, strict=True):
            if not allowed:
                yield Difference(name_of(key), measure, a, b)
        added[key.minute, key.dimension] = added[key.minute, key.dimension].plus(extra)
    minutes = sorted({minute for minute, _ in added})
    for minute in minutes:
        whole = added[minute, DIMENSIONS[0]]
        for dimension in DIMENSIONS[1:]:
            # each event is once in each dimension
            part = added[minute, dimension]
            for measure, a, b in zip(MEASURES, part, whole, strict=True):
                if a != b:
                    yield Difference(f"{name_of(CellKey(minute, dimension, ''))}, all values", measure, a, b)
    counted = sum(added[minute, DIMENSIONS[0]].clicks + added[minute, DIMENSIONS[0]].sales for minute in minutes)
    if counted != accepted:
        yield Difference("quality", "accepted without a truth header", counted, accepted)
