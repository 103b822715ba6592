"""The shop with refunds and devices: twelve lines more of declaration, and a generator that makes such events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final
from zlib import crc32

from core.declaration.reader import read
from core.rfc3339 import to_text
from core.truth import Claim, Claims
from modes.pipelines import FOLDER
from producers.corruptions import Corruption, corruptions
from producers.dirt import DirtShares
from producers.record import SALE, Record
from producers.shop import SOURCE
from producers.stream import ShopStream
from tests.support.shop import CLAIMS, SHOP

#: What is added, each behind a line of the shop's declaration.
ADDED: Final = {
    'fields.country     = { type = "country" }': [
        'fields.device      = { type = "string", enum = ["phone", "tablet", "desktop"] }',
    ],
    'fields.currency         = { type = "currency" }': [
        'fields.device           = { type = "string", enum = ["phone", "tablet", "desktop"] }',
    ],
    "require.wrong_currency  = \"currency == 'EUR'\"": [
        "[streams.refunds]",
        'event = "fourfold.refund.v1"',
        'key = "user_id"',
        'fields.user_id      = { type = "name", classification = "personal" }',
        'fields.product_id   = { type = "name" }',
        'fields.amount_cents = { type = "cents" }',
    ],
    "[dimensions]": ['device = "device"'],
    "[measures]": [
        'refunds = { count = "refunds" }',
        'refunded_cents = { of = "refunds", sum = "amount_cents", unit = "EUR cents" }',
    ],
    'conversion = "sales / clicks"': ['refunded = "refunds / sales"'],
}
DEVICES: Final = ("phone", "tablet", "desktop")
_REFUNDED: Final = 0.5
_SPOILT: Final = 0.05


def declaration() -> str:
    """The text of the file."""
    lines = []
    for line in (FOLDER / "shop.toml").read_text().splitlines():
        lines += [line, *ADDED.get(line, [])]
    return "\n".join(lines) + "\n"


def written(folder: Path) -> Path:
    """The file, in a folder."""
    file = folder / "shop-with-refunds.toml"
    file.write_text(declaration())
    return file


PIPELINE: Final = read(declaration().encode(), "shop-with-refunds.toml")


@dataclass
class ExtendedShop:
    """Records as `ShopStream` gives them, each of a device, and refunds of sales; some of both are spoilt.

    Attributes:
        refunds: Sound ones, and their cents.
        spoilt: Records that are spoilt in what was added, by reason.
    """

    seed: int
    run: str
    refunds: int = 0
    refunded_cents: int = 0
    spoilt: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # the shop's unknown type is that of refunds, which is known here
        dirt = DirtShares(duplicates=0.05, late=0.01, out_of_order=0.05, wrong_type=0.01, garbage=0.01, unknown_type=0)
        self._stream = ShopStream(self.seed, self.run, dirt)
        self._random = Random(self.seed)
        self._claims = Claims(PIPELINE)
        self._number = 0
        ways = list(corruptions(PIPELINE))
        self._of_refunds = [way for way in ways if way.stream == "refunds"]
        self._of_devices = {
            name: [way for way in ways if (way.stream, way.field) == (name, "device")] for name in SHOP.streams
        }

    def take(self, count: int, now_ms: int) -> Sequence[Record]:
        """At least `count` records at wall time `now_ms`."""
        out = []
        for record in self._stream.take(count, now_ms):
            out.append(self._with_device(record))
            if record.kind == SALE and self._random.random() < _REFUNDED:
                out.append(self._refund(record, now_ms))
        return out

    def _with_device(self, record: Record) -> Record:
        device = DEVICES[crc32(record.key) % len(DEVICES)]
        value = (record.value or b"").replace(b'"data":{', b'"data":{"device":"%s",' % device.encode(), 1)
        claim = CLAIMS.decode(record.truth)
        assert claim is not None
        if claim.verdict == "rejected":
            return record._replace(value=value, truth=self._said(claim))
        if self._random.random() < _SPOILT / 5 and record.kind != SALE:
            return self._spoil(record._replace(value=value), self._of_devices[record.topic], claim)
        added = dict(zip(SHOP.measures, CLAIMS.measures(claim), strict=True))
        values = dict(zip(SHOP.dimensions, CLAIMS.dimensions(claim), strict=True)) | {"device": device}
        return record._replace(value=value, truth=self._said(claim, added, values, CLAIMS.user(claim)))

    def _refund(self, sale: Record, now_ms: int) -> Record:
        document = json.loads(sale.value or b"")
        self._number += 1
        user, product = document["data"]["user_id"], document["data"]["product_id"]
        cents = self._random.randrange(10_000)
        refund = {
            "type": "fourfold.refund.v1",
            "specversion": "1.0",
            "id": f"{self.run}-refund-{self._number}",
            "source": SOURCE,
            "time": to_text(now_ms),
            "data": {"user_id": user, "product_id": product, "amount_cents": cents},
        }
        claim = Claim(f"{self.run}r", self._number, "accepted", time_ms=now_ms)
        record = Record("refunds", sale.key, json.dumps(refund, separators=(",", ":")).encode(), b"", "refund")
        if self._random.random() < _SPOILT:
            return self._spoil(record, self._of_refunds, claim)
        self.refunds += 1
        self.refunded_cents += cents
        return record._replace(
            truth=self._said(claim, {"refunds": 1, "refunded_cents": cents}, {"product": product}, user)
        )

    def _spoil(self, record: Record, ways: Sequence[Corruption], claim: Claim) -> Record:
        way = self._random.choice(ways)
        self.spoilt[way.reason] = self.spoilt.get(way.reason, 0) + 1
        told = Claim(claim.run, claim.number, "rejected", way.reason)
        return record._replace(value=way.spoil(record.value or b""), truth=self._said(told))

    def _said(
        self, claim: Claim, added: dict[str, int] | None = None, values: dict[str, Any] | None = None, user: str = ""
    ) -> bytes:
        head = (claim.run, claim.number, claim.verdict, claim.reason, claim.late, claim.time_ms)
        measures = [(added or {}).get(name, 0) for name in PIPELINE.measures]
        # a rejected record has no values, and a refund not all of them
        absent = "" if values is None else None
        dimensions = [(values or {}).get(name, absent) for name in PIPELINE.dimensions]
        return self._claims.encode(self._claims.type(*head, *measures, *dimensions, user))
