"""Each way to spoil an event is rejected by the contract, for exactly the claimed reason."""

from __future__ import annotations

from random import Random

import pytest

from core.verdict import Rejected
from producers.dirt import REJECTED_KINDS, Spoiler
from producers.shop import Shop
from producers.variants import VARIANTS, Variant
from tests.support.shop import KERNEL, SHOP, decode
from tests.support.shop_events import CLICKS, SALES, TOPICS

NOW_MS = 1_769_900_000_000
VALIDATE = {topic: KERNEL[topic].decide.one for topic in TOPICS}


@pytest.mark.parametrize(
    ("variant", "topic"),
    [(v, topic) for v in VARIANTS for topic in v.topics],
    ids=lambda item: item if isinstance(item, str) else f"{item.kind}: {item.name}",
)
def test_reason_is_the_claimed_one(variant: Variant, topic: str) -> None:
    random = Random(7)
    shop = Shop(random, "test")
    target = {CLICKS: SALES, SALES: CLICKS}[topic] if variant.elsewhere else topic
    for _ in range(50):
        sound = shop.stray(topic, NOW_MS).value
        assert sound is not None
        VALIDATE[topic](sound, NOW_MS)
        with pytest.raises(Rejected) as rejected:
            VALIDATE[target](variant.spoil(sound, random), NOW_MS)
        assert rejected.value.reason == variant.reason, rejected.value.detail


def test_all_reasons_occur() -> None:
    # a record is not stamped by the broker's doing, whatever a producer sends
    assert {variant.reason for variant in VARIANTS} == set(SHOP.reasons) - {"not_stamped"}


def test_names_are_unique() -> None:
    assert len({(v.kind, v.name) for v in VARIANTS}) == len(VARIANTS)


@pytest.mark.parametrize("kind", REJECTED_KINDS)
def test_claim_of_a_spoilt_record(kind: str) -> None:
    random = Random(3)
    shop = Shop(random, "test")
    spoiler = Spoiler(random, shop)
    for _ in range(100):
        record = spoiler.record(kind, NOW_MS)
        claim = decode(record.truth)
        assert claim is not None
        assert (claim.run, claim.number, claim.verdict) == ("test", shop.number, "rejected")
        with pytest.raises(Rejected) as rejected:
            VALIDATE[record.topic](record.value, NOW_MS)
        assert rejected.value.reason == claim.reason
