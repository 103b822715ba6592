"""Repair rules: what a file may say, what each step does, and what a repaired event claims."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from adapters.kafka.dead_letters import FoundLetter
from adapters.kafka.repairs import Repair
from core.errors import ConfigurationError
from core.position import PartitionKey
from core.verdict import Reason, Rejected
from producers.dirt import Spoiler
from producers.repair import Unrepaired, claim_of, repair, still_valid
from producers.repair_rules import EXAMPLE, Fix, parse_repair_rules, read_repair_rules
from producers.shop import Shop
from producers.variants import VARIANTS
from tests.support.shop import CLAIMS, KERNEL, SHOP, Claim
from tests.support.shop import cells_of_clicks as fold_clicks
from tests.support.shop import cells_of_sales as fold_sales

NOW_MS = 1_800_000_000_000
SALE: dict[str, Any] = {
    "specversion": "1.0",
    "type": "fourfold.sale.v1",
    "id": "run-7",
    "source": "/shop",
    "time": "2026-01-31T10:00:00.000Z",
    "data": {
        "user_id": "user-1",
        "session_id": "s",
        "order_id": "o",
        "product_id": "espresso-cup",
        "campaign_id": "direct",
        "country": "DE",
        "quantity": 3,
        "unit_price_cents": 1290,
        "currency": "EUR",
    },
}


def letter(reason: str = "wrong_type", topic: str = "sales", **data: Any) -> FoundLetter:
    document = {**SALE, **{name: value for name, value in data.items() if name in SALE}}
    document["data"] = {**SALE["data"], **{name: value for name, value in data.items() if name not in SALE}}
    return FoundLetter(PartitionKey(topic, 2), 1234, NOW_MS, reason, "", json.dumps(document).encode())


def fixes(steps: str, reason: str = "wrong_type") -> tuple[Fix, ...]:
    return parse_repair_rules(f'[[fix]]\nname = "f"\nreason = "{reason}"\nsteps = [{steps}]', "test", SHOP)


def repaired(spoilt: FoundLetter, steps: str) -> dict[str, Any]:
    found = repair(spoilt, fixes(steps, spoilt.reason), KERNEL, NOW_MS)
    assert isinstance(found, Repair), found
    document: dict[str, Any] = json.loads(found.value)
    return document


@pytest.mark.parametrize(
    ("spoilt", "steps", "field", "value"),
    [
        ({"quantity": "12"}, '{do="cast", field="data.quantity", to="whole"}', "quantity", 12),
        ({"quantity": 3.0}, '{do="cast", field="data.quantity", to="whole"}', "quantity", 3),
        # 0.29 * 100 is 28.999999999999996 in floats
        ({"unit_price_cents": 0.29}, '{do="cast", field="data.unit_price_cents", to="whole", times=100}',
         "unit_price_cents", 29),
        ({"user_id": 4711}, '{do="cast", field="data.user_id", to="text"}', "user_id", "4711"),
        ({"campaign_id": None}, '{do="default", field="data.campaign_id", value="direct"}', "campaign_id", "direct"),
        ({"campaign_id": 1}, '{do="set", field="data.campaign_id", value="{place}"}', "campaign_id", "sales-2-1234"),
        ({"country": "germany"}, '{do="replace", field="data.country", table={germany="DE"}}', "country", "DE"),
        ({"country": " fr "}, ('{do="letters", field="data.country", to="stripped"}, '
         '{do="letters", field="data.country", to="upper"}'), "country", "FR"),
        ({"order_id": "x" * 65}, '{do="shorten", field="data.order_id", to=64}', "order_id", "x" * 64),
        ({"quantity": -4}, '{do="clamp", field="data.quantity", min=1, max=10}', "quantity", 1),
        # 1290 * 0.925 is 1193.25; 1290 * 0.5 / 2 would be a half: to even
        ({"currency": "USD"}, '{do="convert", source="USD", target="EUR", rate="0.925"}', "unit_price_cents", 1193),
        ({"currency": "USD", "unit_price_cents": 25}, '{do="convert", source="USD", target="EUR", rate="0.5"}',
         "unit_price_cents", 12),
    ],
)  # fmt: skip
def test_a_step_changes_what_it_says(spoilt: dict[str, Any], steps: str, field: str, value: object) -> None:
    document = repaired(letter(**spoilt), steps)
    assert document["data"][field] == value
    assert document["redriveof"] == "sales:2:1234"
    rest = {name: old for name, old in SALE["data"].items() if name not in {field, *spoilt}}
    assert {name: document["data"][name] for name in rest} == rest


@pytest.mark.parametrize(
    ("time", "form", "expected"),
    [
        ("31/01/2026 10:00:00", "%d/%m/%Y %H:%M:%S", "2026-01-31T10:00:00.000+00:00"),
        ("2026-01-31 10:00 +0100", "%Y-%m-%d %H:%M %z", "2026-01-31T10:00:00.000+01:00"),
        (1_769_853_600_000, "milliseconds", "2026-01-31T10:00:00.000Z"),
    ],
)
def test_times_of_other_forms(time: object, form: str, expected: str) -> None:
    assert repaired(letter(time=time), f'{{do="time", form="{form}"}}')["time"] == expected


def test_rename_and_move() -> None:
    spoilt = letter("missing_field", "clicks", sum=SALE["data"]["unit_price_cents"])
    document = json.loads(spoilt.value or b"")
    del document["data"]["unit_price_cents"]
    steps = '{do="rename", field="data.sum", to="data.unit_price_cents"}, {do="move", topic="sales"}'
    found = repair(
        spoilt._replace(value=json.dumps(document).encode()), fixes(steps, "missing_field"), KERNEL, NOW_MS
    )  # fmt: skip
    assert isinstance(found, Repair)
    assert (found.topic, found.key) == ("sales", b"user-1")


@pytest.mark.parametrize(
    ("spoilt", "steps", "why"),
    [
        ({"quantity": "many"}, '{do="cast", field="data.quantity", to="whole"}', "'many' is no number"),
        ({"quantity": "NaN"}, '{do="cast", field="data.quantity", to="whole"}', "'NaN' is no number"),
        ({"quantity": True}, '{do="cast", field="data.quantity", to="whole"}', "True is no number"),
        ({"quantity": 1.5}, '{do="cast", field="data.quantity", to="whole"}', "is no whole number"),
        ({"currency": "GBP"}, '{do="convert", source="USD", target="EUR", rate="0.9"}', "the currency is 'GBP'"),
        ({}, '{do="rename", field="data.colour", to="data.campaign_id"}', "there is no data.colour"),
        ({}, '{do="rename", field="data.country", to="data.campaign_id"}', "there is a data.campaign_id already"),
        ({}, '{do="set", field="data.user_id.first", value="x"}', "there is no object user_id"),
        ({"country": 7}, '{do="letters", field="data.country", to="upper"}', "7 is no text"),
        ({"country": "aa"}, '{do="replace", field="data.country", table={b="c"}}', "'aa' is not in the table"),
        ({"quantity": "0"}, '{do="cast", field="data.quantity", to="whole"}', "still out_of_range"),
    ],
)
def test_what_no_fix_makes_valid_stays_dead_and_says_why(spoilt: dict[str, Any], steps: str, why: str) -> None:
    found = repair(letter(**spoilt), fixes(steps), KERNEL, NOW_MS)
    assert isinstance(found, Unrepaired)
    assert why in found.why


@pytest.mark.parametrize("value", [None, b"", b"{", b"[1]", b"\xff", b'{"id":' + b"[" * 5000])
def test_what_is_no_document_stays_dead(value: bytes | None) -> None:
    steps = '{do="set", field="id", value="x"}'
    spoilt = letter("not_json")._replace(value=value)
    assert isinstance(repair(spoilt, fixes(steps, "not_json"), KERNEL, NOW_MS), Unrepaired)


def test_the_first_fix_that_makes_it_valid_wins() -> None:
    text = "\n".join(
        f'[[fix]]\nname = "{name}"\nreason = "wrong_type"\nsteps = [{{do="set", field="data.quantity", value={value}}}]'
        for name, value in (("no", 0), ("first", 1), ("second", 2))
    )
    found = repair(letter(quantity="x"), parse_repair_rules(text, "test", SHOP), KERNEL, NOW_MS)
    assert isinstance(found, Repair)
    assert found.fix == "first"


def test_validity_is_asked_for_the_moment_of_sending() -> None:
    found = repair(letter(quantity="1"), fixes('{do="cast", field="data.quantity", to="whole"}'), KERNEL, NOW_MS)
    assert isinstance(found, Repair)
    assert still_valid(found, KERNEL, NOW_MS) is None
    long_ago = still_valid(found, KERNEL, 1_000_000_000_000)
    assert long_ago is not None
    assert long_ago.reason is Reason.FROM_FUTURE


def test_the_example_repairs_what_dirt_makes_and_each_claim_is_what_the_fold_counts() -> None:
    random = Random(5)
    spoiler = Spoiler(random, Shop(random, "run", 20))
    rules = read_repair_rules(EXAMPLE, SHOP)
    used = set()
    for offset, variant in enumerate(VARIANTS * 12):
        record = spoiler.spoil(variant, NOW_MS)
        with pytest.raises(Rejected) as rejected:
            KERNEL[record.topic].decide.one(record.value, NOW_MS)
        reason, detail = rejected.value.reason, rejected.value.detail
        place = PartitionKey(record.topic, 0)
        found = repair(FoundLetter(place, offset, NOW_MS, reason, detail, record.value), rules, KERNEL, NOW_MS)
        if isinstance(found, Unrepaired):
            continue
        used.add(found.fix)
        time_ms, event = KERNEL[found.topic].decide.one(found.value, NOW_MS)
        claim = claim_of(found, SHOP, CLAIMS)
        fold = fold_clicks if found.topic == "clicks" else fold_sales
        cells = fold(time_ms // 60_000, [event.data])  # type: ignore[list-item,arg-type]
        (total,) = [cell for key, cell in cells.items() if key.dimension == "all"]
        assert tuple(total) == (claim.clicks, claim.sales, claim.units, claim.revenue_cents)
        assert claim.time_ms == time_ms
        assert {claim.campaign, claim.product, claim.country} == {k.value for k in cells if k.dimension != "all"}
    # of the others, one makes a time from the future at this hour, one has no sale among these records
    assert used >= {rule.name for rule in rules} - {"time without offset", "a sale among the clicks"}


def test_the_same_id_claims_to_be_the_same_event() -> None:
    def claim(event_id: str) -> Claim:
        found = repair(letter(id=event_id), fixes('{do="set", field="data.quantity", value=2}'), KERNEL, NOW_MS)
        assert isinstance(found, Repair)
        return claim_of(found, SHOP, CLAIMS)

    assert (claim("run-a-17").run, claim("run-a-17").number) == ("run-a", 17)
    assert claim("4711") == claim("4711")
    assert (claim("4711").run, claim("4711").number) != (claim("4712").run, claim("4712").number)
    # no number of the shop: it writes none with zeros in front
    assert claim("run-07").run == "id"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fix = 1", "a list of [[fix]] tables"),
        ("[[fix", "not TOML"),
        ('[[fix]]\nname = "a"', "fix 1 ('a')"),
        ('[[fix]]\nname = "a"\nreason = "bad"\nsteps = []', "Invalid enum value 'bad'"),
        ('[[fix]]\nname = "a"\nreason = "not_json"\nsteps = []', "length >= 1"),
        ('[[fix]]\nname = "a"\nreason = "not_json"\nsteps = [{do = "magic"}]', "magic"),
        ('[[fix]]\nname = "a"\nreason = "not_json"\nsteps = [{do = "set", field = "x", value = 1, more = 1}]', "more"),
        ('[[fix]]\nname = "a"\nreason = "not_json"\nsteps = [{do = "clamp", field = "x", min = 2, max = 1}]', "above"),
        (
            (
                '[[fix]]\nname = "a"\nreason = "not_json"\n'
                'steps = [{do = "convert", source = "USD", target = "EUR", rate = "x"}]'
            ),
            "is no rate",
        ),
        ('[[fix]]\nname = "a"\nreason = "not_json"\nsteps = [{do = "move", topic = "elsewhere"}]', "elsewhere"),
        ('[[fix]]\nname = "a"\nreason = "not_json"\nsteps = [{do = "move", topic = "sales"}]\n' * 2, "two fixes"),
    ],
)
def test_a_wrong_file_is_one_clear_line(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^repair rules mine: ") as error:
        parse_repair_rules(text, "mine", SHOP)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_repair_rules(tmp_path / "no.toml", SHOP)
