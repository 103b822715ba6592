"""fold: events of one minute to cells. Pure; the order of the events does not matter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Final

from core.cells import Cell, CellKey, Cells
from core.events import ClickData, SaleData

_CLICK_DIMENSIONS: Final = (
    ("campaign", attrgetter("campaign_id")),
    ("product", attrgetter("product_id")),
    ("country", attrgetter("country")),
)


def fold_clicks(minute: int, clicks: Sequence[ClickData]) -> Cells:
    """The cells of the clicks of one minute."""
    if not clicks:
        return {}
    cells: Cells = {CellKey(minute, "all", ""): Cell(clicks=len(clicks))}
    for dimension, value_of in _CLICK_DIMENSIONS:
        # Counter counts in C: twice as fast as a dictionary filled in a loop
        for value, count in Counter(map(value_of, clicks)).items():
            cells[CellKey(minute, dimension, value)] = Cell(clicks=count)
    return cells


def fold_sales(minute: int, sales: Iterable[SaleData]) -> Cells:
    """The cells of the sales of one minute. Revenue is quantity x unit price, in cents."""
    sums: dict[tuple[str, str], list[int]] = {}
    for sale in sales:
        units = sale.quantity
        cents = units * sale.unit_price_cents
        for where in (
            ("all", ""),
            ("campaign", sale.campaign_id),
            ("product", sale.product_id),
            ("country", sale.country),
        ):
            cell = sums.get(where)
            if cell is None:
                sums[where] = [1, units, cents]
            else:
                cell[0] += 1
                cell[1] += units
                cell[2] += cents
    return {CellKey(minute, dimension, value): Cell(0, *cell) for (dimension, value), cell in sums.items()}
