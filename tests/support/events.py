"""Builders of events, records and deltas. Times are near `NOW_MS`; nothing is random."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from core.cells import Cell, CellKey, Cells
from core.delta import Delta, Minute
from core.kernel.aggregate import Columns
from core.position import PartitionKey, Position
from core.rfc3339 import to_text
from tests.support.shop_events import CLICKS, SALES

#: 2026-01-01T00:00:00Z, the start of a minute and of an epoch.
NOW_MS = 1_767_225_600_000
NOW_MINUTE = NOW_MS // 60_000
CLICKS_0 = PartitionKey(CLICKS, 0)
CLICKS_1 = PartitionKey(CLICKS, 1)
SALES_0 = PartitionKey(SALES, 0)


class Record(NamedTuple):
    """A record as the fold sees it."""

    offset: int
    timestamp: int
    value: bytes | None
    key: bytes | None = b"u"


def click(time_ms: int = NOW_MS, **changes: Any) -> dict[str, Any]:
    """A valid click; `changes` set fields of the document, those that `data` has set them there."""
    data = {
        "user_id": "user-1",
        "session_id": "session-1",
        "page": "/cups",
        "product_id": "cup",
        "campaign_id": "spring",
        "country": "DE",
    }
    return _document("fourfold.click.v1", time_ms, data, changes)


def sale(time_ms: int = NOW_MS, **changes: Any) -> dict[str, Any]:
    """A valid sale of 2 pieces at 12.50; `changes` as in `click`."""
    data = {
        "user_id": "user-1",
        "session_id": "session-1",
        "order_id": "order-1",
        "product_id": "cup",
        "campaign_id": "spring",
        "country": "DE",
        "quantity": 2,
        "unit_price_cents": 1250,
        "currency": "EUR",
    }
    return _document("fourfold.sale.v1", time_ms, data, changes)


def as_bytes(document: object) -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(document)


def without(document: dict[str, Any], path: str) -> dict[str, Any]:
    """A copy without the field at `path`, such as `data.page`."""
    copy: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document))
    *folders, name = path.split(".")
    place = copy
    for folder in folders:
        place = place[folder]
    del place[name]
    return copy


def records(values: Iterable[object], start: int = 0, append_ms: int = NOW_MS) -> list[Record]:
    """Records one after the other, all appended at `append_ms`; documents are encoded."""
    return [
        Record(offset, append_ms, v if isinstance(v, bytes | None) else as_bytes(v))
        for offset, v in enumerate(values, start)
    ]


class GivenMinute(Minute):
    """What a minute adds, as given instead of counted."""

    def __init__(self, minute: int) -> None:
        super().__init__(minute)
        self.given: Cells = {}
        self.given_users: list[str] = []

    def columns(self) -> Iterator[Columns]:
        for dimension in dict.fromkeys(key.dimension for key in self.given):
            part = {key: cell for key, cell in self.given.items() if key.dimension == dimension}
            minutes, values = [key.minute for key in part], [key.value for key in part]
            yield Columns(dimension, minutes, values, list(zip(*part.values(), strict=True)))

    @property
    def users(self) -> list[str]:
        return self.given_users


def delta_of(
    cells: Mapping[tuple[int, int], Mapping[tuple[str, str], Cell]] | None = None,
    *,
    users: Mapping[tuple[int, int], Iterable[str]] | None = None,
    quality: Mapping[int, Mapping[str, int]] | None = None,
) -> Delta:
    """A delta of given cells and users by (epoch, minute), and quality counters by epoch."""
    delta = Delta()
    cells, users = cells or {}, users or {}
    for place in [*cells, *users]:
        given = delta.minutes[place] = GivenMinute(place[1])
        given.given = cells_of(place[1], cells.get(place, {}))
        given.given_users = list(users.get(place, ()))
    for epoch, counters in (quality or {}).items():
        for name, number in counters.items():
            delta.count(epoch, name, number)
    return delta


def cells_of(minute: int, part: Mapping[tuple[str, str], Cell]) -> Cells:
    """Cells of one minute by (dimension, value)."""
    return {CellKey(minute, *where): cell for where, cell in part.items()}


def at(offset: int, epoch: int = 0, **more: int) -> str:
    """The encoded position of a partition of which every record below `offset` was accepted."""
    return Position(next=offset, epoch=epoch, accepted=offset, **more).encode()


def _document(kind: str, time_ms: int, data: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = {
        "specversion": "1.0",
        "id": "event-1",
        "source": "/tests",
        "type": kind,
        "time": to_text(time_ms),
        "data": data,
    }
    for name, value in changes.items():
        (data if name in data else document)[name] = value
    return document
