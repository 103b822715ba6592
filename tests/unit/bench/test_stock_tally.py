from __future__ import annotations

import asyncio
from typing import Any, Self

from bench.stock_fields import CellFields
from bench.stock_tally import StockTally
from core.cells import Cells, merge
from core.position import PartitionKey
from tests.support.shop import SHOP
from tests.support.shop import cells_of_clicks as fold_clicks
from tests.support.shop import cells_of_sales as fold_sales
from tests.support.shop_events import Click, ClickData, Sale, SaleData

CLICK = Click("1.0", "c1", "/s", "", ClickData("u1", "s", "/p", "p1", "k1", "DE"))
SALE = Sale("1.0", "s1", "/s", "", SaleData("u2", "s", "o", "p1", "k2", "FR", 3, 250, "EUR"))


class Pipeline:
    """Writes down what a pipeline is asked."""

    def __init__(self) -> None:
        self.hashes: dict[str, dict[str, Any]] = {}
        self.users: dict[str, set[str]] = {}

    def pipeline(self, *, transaction: bool) -> Pipeline:
        assert transaction
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def hincrby(self, key: str, field: str, by: int) -> None:
        self.hashes.setdefault(key, {})[field] = by

    def hset(self, key: str, field: str, value: str) -> None:
        self.hashes.setdefault(key, {})[field] = value

    def pfadd(self, key: str, *users: str) -> None:
        self.users[key] = set(users)

    async def execute(self) -> None:
        pass


def test_the_stock_agent_adds_the_same_cells_as_the_product():
    tally, pipeline = StockTally("n"), Pipeline()
    for topic, event in (("clicks", CLICK), ("clicks", CLICK), ("sales", SALE)):
        tally.add(topic, 7 * 60_000 + 5, event)
    tally.passed(PartitionKey("clicks", 2), 41)
    tally.quality["accepted"] += 3
    asyncio.run(tally.write(pipeline))  # type: ignore[arg-type]
    cells: Cells = merge(fold_clicks(7, [CLICK.data, CLICK.data]), fold_sales(7, [SALE.data]))
    flat = CellFields(SHOP).of(cells)
    assert pipeline.hashes == {
        "{n}:cells:7": dict(zip(flat[::2], flat[1::2], strict=True)),
        "{n}:quality": {"accepted": 3},
        "{n}:positions": {"clicks:2": "42"},
    }
    assert pipeline.users == {"{n}:users:7": {"u1", "u2"}}
