"""A history: how many events of which product happen when, and by which partition they come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple, TypeVar

from core.cells import MINUTE_MS

#: Of every minute, beside one click on each product: clicks on products drawn from all, and sales.
_MORE_CLICKS: Final = 0.6
_SALES: Final = 1 / 11

Item = TypeVar("Item")


class Share(NamedTuple):
    """What one partition of each stream gets in one epoch, as numbers of products."""

    clicks: list[int]
    sales: list[int]


@dataclass(frozen=True, slots=True)
class History:
    """The plan of a history; a longer one with the same seed and start begins as a shorter one does.

    Attributes:
        products: Clicked at least once in every minute.
        start: Its first minute, since 1970.
        epoch_ms: A minute is a whole number of epochs.
        partitions: Of each stream.
        seed: The same one gives the same history.
    """

    products: int
    start: int
    epoch_ms: int
    partitions: int
    seed: int

    def epochs(self, minute: int) -> range:
        """The epochs of a minute, of which `start` is the first."""
        per_minute = MINUTE_MS // self.epoch_ms
        first = (self.start + minute) * per_minute
        return range(first, first + per_minute)

    def minute(self, minute: int) -> Iterator[tuple[int, list[Share]]]:
        """Its epochs in order, with the share of each partition. A product's events are scattered over all of these."""
        random = Random(f"{self.seed}-{minute}")
        clicks = list(range(self.products))
        clicks += random.choices(clicks, k=int(self.products * _MORE_CLICKS))
        random.shuffle(clicks)
        sales = random.choices(range(self.products), k=max(1, int(self.products * _SALES)))
        epochs = self.epochs(minute)
        for epoch, clicked, sold in zip(epochs, dealt(clicks, len(epochs)), dealt(sales, len(epochs)), strict=True):
            parts = zip(dealt(clicked, self.partitions), dealt(sold, self.partitions), strict=True)
            yield epoch, [Share(*part) for part in parts]


def minutes_of(cells: int, products: int) -> int:
    """How many minutes hold that many cells of products, or a few more."""
    return -(-cells // products)


def dealt(items: Sequence[Item], hands: int) -> list[list[Item]]:
    """All items in that many parts, as cards are dealt."""
    return [list(items[first::hands]) for first in range(hands)]


def times_in(epoch: int, epoch_ms: int, count: int) -> list[int]:
    """So many event times of an epoch, in order, in ms."""
    return [epoch * epoch_ms + place * epoch_ms // count for place in range(count)]
