from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from bench.rewriting import Rewriting, product_name, scattered, with_product
from core.truth import Claims
from producers.dirt import DirtShares
from producers.record import Record
from producers.stream import ShopStream
from tests.support.shop import KERNEL, SHOP

NOW_MS = 1_800_000_000_000
DAY_MS = 86_400_000
CLAIMS = Claims(SHOP)


def records(count: int, shares: DirtShares | None = None) -> list[Record]:
    return ShopStream(7, "rewriting", shares).take(count, NOW_MS)


def clean(count: int) -> list[Record]:
    return records(count, DirtShares(**dict.fromkeys(DirtShares.__dataclass_fields__, 0.0)))


def claim(record: Record):
    found = CLAIMS.decode(record.truth)
    assert found is not None
    return found


def other_fields(record: Record) -> dict[str, object]:
    """What is claimed, but for product and time."""
    return msgspec.structs.asdict(claim(record)) | {"product": "", "time_ms": 0}


def test_the_event_says_what_its_claim_says():
    change = Rewriting(SHOP, 30, DAY_MS)
    for record in map(change, clean(200)):
        time_ms, event = KERNEL[record.topic].decide.one(record.value, NOW_MS)
        assert time_ms == claim(record).time_ms
        assert event.data.product_id == claim(record).product


def test_nothing_else_is_changed():
    before = clean(50)
    for old, new in zip(before, map(Rewriting(SHOP, 30, DAY_MS), before), strict=True):
        assert other_fields(new) == other_fields(old)
        assert (new.topic, new.key, new.kind) == (old.topic, old.key, old.kind)


def test_there_are_so_many_products_all_alike():
    found = Counter(claim(record).product for record in map(Rewriting(SHOP, 20), clean(4_000)))
    assert found.keys() == {product_name(number) for number in range(20)}
    assert max(found.values()) < 2 * min(found.values())


def test_event_times_stay_unless_asked_to_go_back():
    before = clean(20)
    assert [claim(r).time_ms for r in map(Rewriting(SHOP, 20), before)] == [claim(r).time_ms for r in before]


def test_event_times_go_back_over_all_of_the_span():
    before = clean(2_000)
    back = [
        claim(o).time_ms - claim(n).time_ms
        for o, n in zip(before, map(Rewriting(SHOP, 9, DAY_MS), before), strict=True)
    ]
    assert all(0 <= ms < DAY_MS for ms in back)
    hours = Counter(ms // 3_600_000 for ms in back)
    assert len(hours) == 24
    assert len(set(back)) > 1_990


def test_a_duplicate_gets_what_its_original_got():
    change = Rewriting(SHOP, 30, DAY_MS)
    for record in clean(50):
        original, again = change(record), change(record.again())
        assert again.value == original.value
        assert claim(again).verdict == "duplicate"
        assert claim(again).time_ms == claim(original).time_ms


def test_what_must_be_rejected_stays():
    spoilt = [record for record in records(20_000) if claim(record).verdict == "rejected"]
    assert len(spoilt) > 50
    assert list(map(Rewriting(SHOP, 30, DAY_MS), spoilt)) == spoilt


@pytest.mark.parametrize("below", [1, 7, 50_000])
def test_scattered_numbers_are_below_their_bound(below: int):
    found = {scattered(number, 2_654_435_761, below) for number in range(1_000)}
    assert min(found) >= 0
    assert max(found) < below
    assert len(found) > min(below, 1_000) * 0.9


def test_the_product_is_replaced_and_no_other_text():
    assert with_product(b'{"product_id":"a","x":"a"}', "b") == b'{"product_id":"b","x":"a"}'
