"""Dirt: in which shares records are spoilt, and the spoiling of one of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from random import Random
from typing import Final

from core.errors import ConfigurationError
from producers.record import CLICKS, SALES, Record
from producers.shop import Shop
from producers.variants import VARIANTS, Variant

#: Names of the kinds whose records must be rejected: fields of `DirtShares`.
REJECTED_KINDS: Final = tuple(dict.fromkeys(variant.kind for variant in VARIANTS))

_OTHER: Final = {CLICKS: SALES, SALES: CLICKS}
#: Spoilt events are clicks and sales about as often as sound ones are.
_SALE_SHARE: Final = 1 / 11


@dataclass(frozen=True, slots=True, kw_only=True)
class DirtShares:
    """Shares of all records, each 0..1. The rest are clean, in order up to the natural delay.

    Raises `ConfigurationError` for a share outside of 0..1, for more than half duplicates (each
    needs an event of its own), and where all shares together leave no room.
    """

    duplicates: float = 0.01
    late: float = 0.005
    out_of_order: float = 0.03
    missing_field: float = 0.001
    wrong_type: float = 0.001
    bad_format: float = 0.001
    out_of_range: float = 0.001
    unknown_type: float = 0.001
    broken_json: float = 0.001
    garbage: float = 0.001
    from_future: float = 0.001
    wrong_topic: float = 0.001
    wrong_currency: float = 0.001

    def __post_init__(self) -> None:
        shares = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise ConfigurationError(f"dirt: {name} is {share}; a share is between 0 and 1")
        # a duplicate and its original are two records, and an original is in no other share
        needed = sum(shares.values()) + self.duplicates
        if needed > 1 + 1e-9:
            message = (
                f"dirt: the shares need {needed:.3f} of all records (duplicates count twice: "
                "each has an original); lower them to 1 at most"
            )
            raise ConfigurationError(message)

    @classmethod
    def none(cls) -> DirtShares:
        """No dirt at all."""
        return cls(**{field.name: 0.0 for field in fields(cls)})


class Spoiler:
    """Makes records that a right pipeline must reject, each with the reason in its claim."""

    def __init__(self, random: Random, shop: Shop, variants: Sequence[Variant] = VARIANTS) -> None:
        self._random = random
        self._variants = {kind: [each for each in variants if each.kind == kind] for kind in REJECTED_KINDS}
        self._shop = shop

    def record(self, kind: str, now_ms: int) -> Record:
        """A spoilt record of a kind of `REJECTED_KINDS`, at wall time `now_ms` (ms since 1970)."""
        return self.spoil(self._random.choice(self._variants[kind]), now_ms)

    def spoil(self, variant: Variant, now_ms: int) -> Record:
        """A record spoilt in this very way."""
        random, shop = self._random, self._shop
        topic = variant.topics[0]
        if len(variant.topics) > 1:
            topic = SALES if random.random() < _SALE_SHARE else CLICKS
        sound = shop.stray(topic, now_ms)
        value = variant.spoil(sound.value or b"", random)
        target = _OTHER[topic] if variant.elsewhere else topic
        return Record(target, sound.key, value, shop.rejected(variant.reason), variant.kind)


def kind_shares(shares: DirtShares) -> Iterable[tuple[str, float]]:
    """The kinds that must be rejected, each with its share."""
    return ((kind, getattr(shares, kind)) for kind in REJECTED_KINDS)
