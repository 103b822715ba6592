"""The shop, which most tests count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from adapters.lake.day_cells import cells_schema
from core.cells import Cell, CellKey, Cells
from core.declaration.pipeline import Pipeline
from core.kernel.kernel import Kernel
from core.partition import PartitionFold
from core.position import PartitionKey, Position
from core.rules import Rules
from core.truth import Claims
from modes.pipelines import FOLDER, pipeline_named
from serving.measures import headlines, shown_measures
from tests.support.shop_events import ClickData, SaleData

SHOP: Final[Pipeline] = pipeline_named("shop")
KERNEL: Final = Kernel(SHOP)
#: Its error of the bug-fix drill.
PRICE_ONLY: Final = Kernel(SHOP.under("price-only"))


def fold_of(source: PartitionKey, position: Position, rules: Rules, kernel: Kernel = KERNEL) -> PartitionFold:
    """The fold of a partition of the shop."""
    return PartitionFold(source, position, rules, kernel[source.topic])


def cells_of_clicks(minute: int, clicks: Sequence[ClickData]) -> Cells:
    """The cells of the clicks of one minute."""
    return _cells("clicks", minute, clicks)


def cells_of_sales(minute: int, sales: Sequence[SaleData]) -> Cells:
    """The cells of the sales of one minute."""
    return _cells("sales", minute, sales)


def _cells(stream: str, minute: int, data: Sequence[ClickData | SaleData]) -> Cells:
    aggregate = KERNEL[stream].aggregate
    tally = aggregate.tally()
    tally.events.extend(data)
    aggregate.condense(tally)
    return {CellKey(minute, dimension, value): Cell(sums) for dimension, value, sums in aggregate.cells(tally)}


#: The shop's words, for tests that count clicks and sales.
MEASURES: Final = tuple(SHOP.measures)
DIMENSIONS: Final = SHOP.dimension_names
ZERO: Final = SHOP.zero
SHOWN_MEASURES: Final = shown_measures(SHOP)
HEADLINES: Final = headlines(SHOWN_MEASURES)
CLAIMS: Final = Claims(SHOP)
Claim: Final = CLAIMS.type
encode: Final = CLAIMS.encode
decode: Final = CLAIMS.decode


def cell_of(clicks: int = 0, sales: int = 0, units: int = 0, revenue_cents: int = 0) -> Cell:
    """A cell of the shop."""
    return Cell((clicks, sales, units, revenue_cents))


def named(cell: Cell) -> dict[str, int]:
    """A cell of the shop, by measure."""
    return dict(zip(MEASURES, cell, strict=True))


#: Of a file of cells of the shop.
CELLS: Final = cells_schema(SHOP)


#: The quality rules that come with it.
SHOP_RULES: Final = FOLDER / "quality" / "shop.toml"
