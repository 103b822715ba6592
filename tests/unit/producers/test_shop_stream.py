"""The endless stream: repeatable, believable, and right about itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from core.errors import ConfigurationError
from core.verdict import Rejected
from producers.dirt import REJECTED_KINDS, DirtShares
from producers.record import DUPLICATE, LATE, OUT_OF_ORDER, Record
from producers.shop import NATURAL_DELAY_MS, Shop, shoppers_for
from producers.stream import ShopStream
from tests.support.shop import KERNEL, Claim, decode, encode
from tests.support.shop_events import SALES, TOPICS

START_MS = 1_769_900_000_000
VALIDATE = {topic: KERNEL[topic].decide.one for topic in TOPICS}


def taken(stream: ShopStream, count: int, a_second: int = 200) -> list[tuple[int, Record]]:
    """Records with the schedule time at which they were taken: ten batches a second."""
    batch = a_second // 10
    return [
        (now_ms, record)
        for now_ms in range(START_MS, START_MS + count // batch * 100, 100)
        for record in stream.take(batch, now_ms)
    ]


def claim_of(record: Record) -> Claim:
    claim = decode(record.truth)
    assert claim is not None
    return claim


@pytest.fixture(scope="module")
def stream() -> list[tuple[int, Record]]:
    return taken(ShopStream(1, "run-1"), 20_000)


@pytest.fixture(scope="module")
def clean() -> list[Record]:
    records = taken(ShopStream(1, "run-1", DirtShares.none()), 20_000)
    return [record for _, record in records]


def test_same_seed_same_bytes(stream: list[tuple[int, Record]]) -> None:
    assert taken(ShopStream(1, "run-1"), 20_000) == stream


def test_bytes_do_not_depend_on_the_size_of_batches() -> None:
    whole = ShopStream(1, "run-1").take(1_000, START_MS)
    parts = ShopStream(1, "run-1")
    assert [record for _ in range(1_000) for record in parts.take(1, START_MS)] == whole


def test_other_seed_other_bytes(stream: list[tuple[int, Record]]) -> None:
    values = {record.value for _, record in stream}
    others = {record.value for _, record in taken(ShopStream(2, "run-1"), 2_000)}
    # empty values and the like are the same in all runs
    assert len(values & others) < 50


def test_claims_agree_with_the_contract(stream: list[tuple[int, Record]]) -> None:
    seen: dict[tuple[str, int], Record] = {}
    for now_ms, record in stream:
        claim = claim_of(record)
        identity = (claim.run, claim.number)
        judged = judge(record, now_ms)
        if isinstance(judged, Rejected):
            assert (claim.verdict, claim.reason) == ("rejected", judged.reason)
            assert identity not in seen
        else:
            assert claim.verdict == ("duplicate" if identity in seen else "accepted")
            if claim.verdict == "duplicate":
                assert (record.topic, record.key, record.value) == seen[identity][:3]
            assert claim == expected(*judged, claim)
            assert record.key == claim.user.encode()
        seen.setdefault(identity, record)


def judge(record: Record, now_ms: int) -> tuple[int, Any] | Rejected:
    try:
        return VALIDATE[record.topic](record.value, now_ms)
    except Rejected as rejected:
        return rejected


def expected(time_ms: int, event: Any, claim: Claim) -> Claim:
    """The claim that an event ought to have; identity, verdict and lateness are taken over."""
    data = event.data
    assert event.id == f"{claim.run}-{claim.number}"
    sold = hasattr(event.data, "quantity")
    units = event.data.quantity if hasattr(event.data, "quantity") else 0
    price = event.data.unit_price_cents if hasattr(event.data, "quantity") else 0
    return Claim(
        claim.run,
        claim.number,
        claim.verdict,
        late=claim.late,
        time_ms=time_ms,
        clicks=int(not sold),
        sales=int(sold),
        units=units,
        revenue_cents=units * price,
        campaign=data.campaign_id,
        product=data.product_id,
        country=data.country,
        user=data.user_id,
    )


def test_claims_are_written_as_the_ledger_writes_them(stream: list[tuple[int, Record]]) -> None:
    assert all(encode(claim_of(record)) == record.truth for _, record in stream)


def test_ids_are_unique(stream: list[tuple[int, Record]]) -> None:
    numbers = [c.number for _, r in stream if (c := claim_of(r)).verdict != "duplicate"]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))


def test_shares() -> None:
    shares = DirtShares(duplicates=0.05, late=0.02)
    kinds = Counter(r.kind for _, r in taken(ShopStream(4, "r", shares), 200_000, 400))
    wanted = {DUPLICATE: 0.05, LATE: 0.02, OUT_OF_ORDER: 0.03} | dict.fromkeys(REJECTED_KINDS, 0.001)
    for kind, share in wanted.items():
        slack = 0.25 if share < 0.01 else 0.08
        assert kinds[kind] / 200_000 == pytest.approx(share, rel=slack), kind
    assert 10 < kinds["click"] / kinds["sale"] < 12


def test_one_kind_alone() -> None:
    shares = replace(DirtShares.none(), garbage=1.0)
    assert {r.kind for _, r in taken(ShopStream(4, "r", shares), 2_000)} == {"garbage"}


def test_event_times(stream: list[tuple[int, Record]]) -> None:
    ages: dict[str, list[int]] = {}
    for now_ms, record in stream:
        claim = claim_of(record)
        if claim.verdict == "accepted":
            assert claim.late == (record.kind == LATE)
            ages.setdefault(record.kind, []).append(now_ms - claim.time_ms)
    for kind in ("click", "sale"):
        assert 0 <= min(ages[kind]) < max(ages[kind]) <= NATURAL_DELAY_MS
    assert 61_000 <= min(ages[LATE]) < max(ages[LATE]) <= 600_000
    assert 2_000 <= min(ages[OUT_OF_ORDER]) < max(ages[OUT_OF_ORDER]) <= 30_000


def test_delays_of_duplicates(stream: list[tuple[int, Record]]) -> None:
    first: dict[int, int] = {}
    delays = []
    for now_ms, record in stream:
        number = claim_of(record).number
        if record.kind == DUPLICATE:
            delays.append(now_ms - first[number])
        first.setdefault(number, now_ms)
    soon = sum(delay <= 5_100 for delay in delays)
    assert soon > len(delays) / 2
    assert 30_000 < max(delays) <= 50_100


def test_a_sale_follows_a_click_of_its_session_on_the_product(clean: list[Record]) -> None:
    clicked: dict[tuple[str, ...], str] = {}
    sales = 0
    for record in clean:
        _, event = VALIDATE[record.topic](record.value, START_MS + 3_600_000)
        data = event.data
        visit = (
            data.user_id,
            data.session_id,
            data.product_id,
            data.campaign_id,
            data.country,
        )
        if record.topic == SALES:
            sales += 1
            assert clicked[visit] <= event.time
        else:
            clicked[visit] = event.time
    assert 1 / 12 < sales / (len(clean) - sales) < 1 / 10


def test_products_differ_in_popularity(clean: list[Record]) -> None:
    counts = Counter(claim_of(record).product for record in clean)
    ranked = [count for _, count in counts.most_common()]
    assert len(ranked) == 40
    assert ranked[0] > 5 * ranked[20] > 5 * ranked[-1]
    assert counts.most_common(1)[0][0] == "espresso-cup"


def test_a_user_lives_in_one_country(clean: list[Record]) -> None:
    homes = {(c.user, c.country) for c in map(claim_of, clean)}
    users = {user for user, _ in homes}
    assert len(homes) == len(users) > 1_000


@pytest.mark.parametrize("run", ["", "x" * 33, 'a"b', "a b", "ü"])
def test_refuses_a_run_that_cannot_be_part_of_an_id(run: str) -> None:
    with pytest.raises(ConfigurationError, match="run"):
        ShopStream(1, run)


def test_refuses_an_empty_shop() -> None:
    with pytest.raises(ConfigurationError, match="shoppers"):
        ShopStream(1, "r", shoppers=0)


@pytest.mark.parametrize(
    "shares",
    [{"late": -0.1}, {"late": 1.1}, {"late": float("nan")}, {"duplicates": 0.6}, {"garbage": 0.99}],
)
def test_refuses_shares_that_cannot_be(shares: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="dirt"):
        DirtShares(**shares)


def test_shoppers_for_a_rate() -> None:
    assert shoppers_for(0) == 200
    assert shoppers_for(0.1) == 20
    assert shoppers_for(100) == 500
    assert shoppers_for(1e9) == 1_000


def test_numbers_and_hours_of_claims() -> None:
    shop = Shop(Random(1), "r")
    shop.hour = 5
    claims: Iterable[Claim] = map(claim_of, shop.events(3, START_MS))
    assert [(c.number, c.hour) for c in claims] == [(1, 5), (2, 5), (3, 5)]
