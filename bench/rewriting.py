"""Rewriting: the shop's records with other products and other event times, their claims likewise."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from core.declaration.pipeline import Pipeline
from core.rfc3339 import to_text
from core.truth import Claims
from producers.record import Record

_PRODUCT: Final = re.compile(rb'"product_id":"[^"]*"')
_TIME: Final = re.compile(rb'"time":"[^"]*"')
#: Odd numbers that scatter what they multiply over 32 bits.
_SCATTER_PRODUCTS, _SCATTER_TIMES = 2_654_435_761, 2_246_822_507


class Rewriting:
    """Gives each event a product, and a time before its own, by its number: a duplicate gets those of its original."""

    def __init__(self, pipeline: Pipeline, products: int, back_ms: int = 0) -> None:
        """`products`: how many there are, all alike. `back_ms`: event times go back by less than that; 0: they stay."""
        self._claims = Claims(pipeline)
        self._products = products
        self._back_ms = back_ms

    def __call__(self, record: Record) -> Record:
        """The record rewritten; one that must be rejected as it is."""
        claim = self._claims.decode(record.truth)
        if claim is None or claim.verdict == "rejected" or record.value is None:
            return record
        product = product_name(scattered(claim.number, _SCATTER_PRODUCTS, self._products))
        value = with_product(record.value, product)
        time_ms = claim.time_ms
        if self._back_ms:
            time_ms -= scattered(claim.number, _SCATTER_TIMES, self._back_ms)
            value = _TIME.sub(f'"time":"{to_text(time_ms)}"'.encode(), value, count=1)
        claimed = msgspec.structs.replace(claim, time_ms=time_ms, product=product)
        return record._replace(value=value, truth=self._claims.encode(claimed))


def product_name(number: int) -> str:
    """Of about the length that the shop's have."""
    return f"product-{number:05}"


def with_product(value: bytes, product: str) -> bytes:
    """The document with another product."""
    return _PRODUCT.sub(f'"product_id":"{product}"'.encode(), value, count=1)


def scattered(number: int, by: int, below: int) -> int:
    """A number below `below` that says nothing of the one it is made of."""
    return ((number * by) % 2**32 * below) >> 32
