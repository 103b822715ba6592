"""What the shop sells, how people get to it, and where they live. Data only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeVar

T = TypeVar("T")

#: Entries of a draw table: a power of two, so that an index is `getrandbits(DRAW_BITS)`.
DRAW_BITS: Final = 12
_DRAW_SIZE: Final = 1 << DRAW_BITS


class Product(NamedTuple):
    """A product and its price in cents."""

    id: str
    price_cents: int


class Weighted(NamedTuple):
    """A campaign or a country, and its share of visits in per cent."""

    id: str
    weight: int


#: Most popular first: popularity follows rank (Zipf).
PRODUCTS: Final = tuple(
    Product(*row)
    for row in (
        ("espresso-cup", 1290),
        ("moka-pot", 3490),
        ("coffee-beans-1kg", 2190),
        ("milk-frother", 2990),
        ("pour-over-set", 4590),
        ("burr-grinder", 8900),
        ("french-press", 3290),
        ("travel-mug", 2490),
        ("green-tea-100g", 890),
        ("teapot-cast-iron", 5490),
        ("espresso-machine", 49900),
        ("water-kettle", 6490),
        ("kitchen-scale", 2790),
        ("descaler", 690),
        ("paper-filters-100", 450),
        ("latte-glass", 990),
        ("sugar-bowl", 1590),
        ("chocolate-bar", 390),
        ("honey-500g", 1190),
        ("biscuit-tin", 1790),
        ("breakfast-tray", 2290),
        ("linen-apron", 3990),
        ("oven-gloves", 1890),
        ("bread-knife", 4290),
        ("cutting-board", 3690),
        ("cast-iron-pan", 5990),
        ("saucepan", 4490),
        ("salad-bowl", 2590),
        ("pepper-mill", 3190),
        ("olive-oil-1l", 1690),
        ("wine-glass", 1390),
        ("corkscrew", 1490),
        ("ice-cube-tray", 790),
        ("lunch-box", 1990),
        ("water-bottle", 2390),
        ("candle-beeswax", 1090),
        ("table-lamp", 7900),
        ("wall-clock", 4990),
        ("cold-brew-jug", 3090),
        ("gift-card", 2500),
    )
)

CAMPAIGNS: Final = (
    Weighted("direct", 34),
    Weighted("newsletter", 16),
    Weighted("spring-sale", 14),
    Weighted("search-ads", 12),
    Weighted("social-video", 9),
    Weighted("price-portal", 7),
    Weighted("refer-a-friend", 5),
    Weighted("podcast", 3),
)

COUNTRIES: Final = (
    Weighted("DE", 31),
    Weighted("FR", 15),
    Weighted("NL", 11),
    Weighted("AT", 10),
    Weighted("IT", 9),
    Weighted("ES", 8),
    Weighted("BE", 6),
    Weighted("PL", 5),
    Weighted("SE", 3),
    Weighted("PT", 2),
)


def zipf_weights(count: int) -> list[float]:
    """Weights of ranks 1..count: 1 / rank^0.9, flat enough that the last ones are sold too."""
    return [1 / rank**0.9 for rank in range(1, count + 1)]


def draw_table(items: Sequence[T], weights: Sequence[float]) -> list[T]:
    """2^DRAW_BITS entries in which each item has its share: a weighted draw is one index."""
    total = sum(weights)
    table: list[T] = []
    reached = 0.0
    for item, weight in zip(items, weights, strict=True):
        reached += weight
        table += [item] * (round(reached / total * _DRAW_SIZE) - len(table))
    return table
