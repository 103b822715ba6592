"""What the stock agent adds up before it goes to Redis: one batch."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from redis.asyncio import Redis

from core.cells import MINUTE_MS
from core.position import PartitionKey
from producers.record import SALES

#: The codes of `bench.stock_fields`, so that both views are read alike.
_ALL, _CAMPAIGN, _PRODUCT, _COUNTRY = "acpn"


class StockTally:
    """Counters by minute; written in one transaction together with how far was counted."""

    def __init__(self, namespace: str) -> None:
        self._tag: Final = f"{{{namespace}}}"
        self._cells: dict[int, Counter[str]] = {}
        self._users: dict[int, set[str]] = {}
        self._next: dict[PartitionKey, int] = {}
        self.quality: Counter[str] = Counter()

    def passed(self, source: PartitionKey, offset: int) -> None:
        """A record was dealt with."""
        self._next[source] = offset + 1

    def add(self, topic: str, time_ms: int, event: Any) -> None:
        """An accepted event."""
        minute = time_ms // MINUTE_MS
        cells = self._cells.get(minute)
        if cells is None:
            cells = self._cells[minute] = Counter()
            self._users[minute] = set()
        data = event.data
        self._users[minute].add(data.user_id)
        for where in (
            f"{_ALL}%s:",
            f"{_CAMPAIGN}%s:{data.campaign_id}",
            f"{_PRODUCT}%s:{data.product_id}",
            f"{_COUNTRY}%s:{data.country}",
        ):
            if topic == SALES:
                cells[where % "s"] += 1
                cells[where % "u"] += event.data.quantity
                cells[where % "r"] += event.data.quantity * event.data.unit_price_cents
            else:
                cells[where % "c"] += 1

    async def write(self, redis: Redis) -> None:
        """Adds all to the view."""
        tag = self._tag
        async with redis.pipeline(transaction=True) as pipeline:
            for minute, cells in self._cells.items():
                for field, number in cells.items():
                    pipeline.hincrby(f"{tag}:cells:{minute}", field, number)
                pipeline.pfadd(f"{tag}:users:{minute}", *self._users[minute])
            for name, number in self.quality.items():
                pipeline.hincrby(f"{tag}:quality", name, number)
            for source, offset in self._next.items():
                pipeline.hset(f"{tag}:positions", str(source), str(offset))
            await pipeline.execute()
