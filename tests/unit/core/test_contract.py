"""validate: every record is an event or is rejected with one reason of the closed list."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.contract import FUTURE_LIMIT_MS, OLDEST_MS
from core.rfc3339 import to_text
from core.verdict import Reason, Rejected
from tests.support.events import NOW_MS, as_bytes, click, sale, without
from tests.support.shop import KERNEL, SHOP
from tests.support.shop_events import CLICKS, SALES, TOPICS


def verdict(value: bytes | None, topic: str = CLICKS, append_ms: int = NOW_MS) -> str | None:
    """The reason for which the record is rejected, None where it is accepted."""
    try:
        KERNEL[topic].decide.one(value, append_ms)
    except Rejected as rejected:
        assert str(rejected).startswith(rejected.reason)
        return rejected.reason
    return None


def brief(value: object) -> str:
    return ascii(value)[:60]


def patched(document: dict[str, Any], old: bytes, new: bytes) -> bytes:
    """The document's bytes with some of them replaced: what no encoder would write."""
    value = as_bytes(document)
    assert value.count(old) == 1
    return value.replace(old, new)


def test_a_valid_click_is_an_event_at_its_time() -> None:
    time_ms, event = KERNEL[CLICKS].decide.one(as_bytes(click(NOW_MS - 1234)), NOW_MS)
    assert time_ms == NOW_MS - 1234
    assert event.data.campaign_id == "spring"


def test_a_valid_sale_is_an_event_with_money_in_cents() -> None:
    _, event = KERNEL[SALES].decide.one(as_bytes(sale()), NOW_MS)
    assert (event.data.quantity, event.data.unit_price_cents) == (2, 1250)


def test_a_topic_without_events_has_no_contract() -> None:
    with pytest.raises(KeyError):
        KERNEL["dead-letters"]


def test_fields_that_are_not_declared_are_accepted_anywhere() -> None:
    document = sale(colour="red", subject=None, nested={"a": [1, {"b": 2}]})
    document["data"]["discount"] = 3.5
    assert verdict(as_bytes(document), SALES) is None


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("position", ["first", "last"])
def test_the_type_may_stand_anywhere_in_the_document(topic: str, position: str) -> None:
    document = click() if topic == CLICKS else sale()
    kind = document.pop("type")
    document = {"type": kind, **document} if position == "first" else {**document, "type": kind}
    assert verdict(as_bytes(document), topic) is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b" ",
        b"{",
        b"\x00",
        b"\xff\xfe",
        b"nul",
        b"{'id': 1}",
        b'{"id": "a",}',
        as_bytes(click())[:-1],
        as_bytes(click()) + b"x",
        as_bytes(click()) * 2,
        b"\xef\xbb\xbf" + as_bytes(click()),
        as_bytes(click()).decode().encode("utf-16"),
        patched(click(), b'"spring"', b'"spr\xffng"'),
        patched(click(), b'"spring"', b'"spr\\ud800ing"'),
        patched(click(), b'"spring"', b'"spr\ning"'),
        patched(click(), b'"/cups"', b"NaN"),
        patched(click(), b'"/cups"', b"Infinity"),
        patched(click(), b'"/cups"', b"01"),
        b'{"extra":' * 100_000,
        as_bytes(click())[:-1] + b',"extra":' + b"[" * 100_000,
    ],
    ids=brief,
)
def test_bytes_that_are_no_json(value: bytes | None) -> None:
    assert verdict(value) == Reason.NOT_JSON


def test_brackets_without_end_are_no_json() -> None:
    assert verdict(b"[" * 1_000_000) == Reason.NOT_JSON


def test_an_event_in_a_deeply_nested_field_that_is_well_formed_cannot_end_the_worker() -> None:
    depth = 100_000
    value = as_bytes(click())[:-1] + b',"extra":' + b"[" * depth + b"]" * depth + b"}"
    assert verdict(value) in (None, Reason.NOT_JSON)


@pytest.mark.parametrize("kind", ["fourfold.click.v2", "fourfold.click", "", "com.example.order", "\u0000"])
def test_a_type_that_nobody_knows(kind: str) -> None:
    assert verdict(as_bytes(click(type=kind))) == Reason.UNKNOWN_TYPE


def test_an_event_on_the_topic_of_the_other() -> None:
    assert verdict(as_bytes(sale()), CLICKS) == Reason.WRONG_TOPIC
    assert verdict(as_bytes(click()), SALES) == Reason.WRONG_TOPIC


@pytest.mark.parametrize(
    ("topic", "path"),
    [(t, p) for t in TOPICS for p in ("specversion", "id", "source", "type", "time", "data")]
    + [(t, f"data.{p}") for t in TOPICS for p in ("user_id", "session_id", "product_id", "campaign_id", "country")]
    + [(CLICKS, "data.page")]
    + [(SALES, f"data.{p}") for p in ("order_id", "quantity", "unit_price_cents", "currency")],
)
def test_a_required_field_that_is_missing(topic: str, path: str) -> None:
    document = click() if topic == CLICKS else sale()
    assert verdict(as_bytes(without(document, path)), topic) == Reason.MISSING_FIELD


@pytest.mark.parametrize(
    "value",
    [
        b"null",
        b"true",
        b"42",
        b'"text"',
        b"[]",
        b"[{}]",
        as_bytes(click(type=7)),
        as_bytes(click(type=None)),
        as_bytes(click(type=["fourfold.click.v1"])),
        as_bytes(click(id=7)),
        as_bytes(click(time=NOW_MS)),
        as_bytes(click(data=None)),
        as_bytes(click(data=[])),
        as_bytes(click(data="{}")),
        as_bytes(click(user_id=1)),
        as_bytes(click(campaign_id=None)),
        as_bytes(click(product_id=["cup"])),
        as_bytes(click(country={"code": "DE"})),
    ],
    ids=brief,
)
def test_a_field_of_another_type(value: bytes) -> None:
    assert verdict(value) == Reason.WRONG_TYPE


@pytest.mark.parametrize("number", ["2", True, 1.5, None, [2], 1e300])
@pytest.mark.parametrize("field", ["quantity", "unit_price_cents"])
def test_a_number_that_is_no_integer(field: str, number: object) -> None:
    assert verdict(as_bytes(sale(**{field: number})), SALES) == Reason.WRONG_TYPE


@pytest.mark.parametrize(
    "change",
    [
        {"time": "2026-01-01"},
        {"time": "2026-01-01 00:00:00.000"},
        {"time": "2026-01-01T00:00:00.000"},
        {"time": "2026-13-01T00:00:00Z"},
        {"time": "2026-02-30T00:00:00Z"},
        {"time": "2026-12-31T23:59:60Z"},
        {"time": ""},
        {"time": "x" * 30},
        {"time": "2" * 41},
        {"country": "D"},
        {"country": "DEU"},
        {"country": "de"},
        {"country": "D1"},
        {"country": "ÖS"},
        {"country": ""},
        {"specversion": "0.3"},
        {"specversion": ""},
    ],
    ids=brief,
)
def test_a_text_in_another_format(change: dict[str, Any]) -> None:
    assert verdict(as_bytes(click(**change))) == Reason.BAD_FORMAT


@pytest.mark.parametrize("currency", ["eur", "EU", "EURO", "€", "", "E1R", "ÄÖÜ"])
def test_a_currency_in_another_format(currency: str) -> None:
    assert verdict(as_bytes(sale(currency=currency)), SALES) == Reason.BAD_FORMAT


@pytest.mark.parametrize("currency", ["USD", "GBP", "XXX"])
def test_money_that_cannot_be_added(currency: str) -> None:
    assert verdict(as_bytes(sale(currency=currency)), SALES) == "wrong_currency"


@pytest.mark.parametrize(
    "change",
    [
        {"quantity": 0},
        {"quantity": -1},
        {"quantity": 10_001},
        {"quantity": 2**63},
        {"quantity": -(2**63)},
        {"unit_price_cents": -1},
        {"unit_price_cents": 100_000_001},
        {"unit_price_cents": 2**64},
        {"order_id": ""},
        {"order_id": "x" * 65},
        {"user_id": "x" * 65},
        {"id": ""},
        {"id": "x" * 65},
        {"source": ""},
        {"source": "/" * 2049},
    ],
    ids=brief,
)
def test_a_value_out_of_its_range(change: dict[str, Any]) -> None:
    assert verdict(as_bytes(sale(**change)), SALES) == Reason.OUT_OF_RANGE


@pytest.mark.parametrize("digits", [30, 400, 5_000, 100_000])
@pytest.mark.parametrize("sign", [b"", b"-"])
def test_an_integer_of_any_number_of_digits_is_rejected(digits: int, sign: bytes) -> None:
    value = patched(sale(), b":2,", b":" + sign + b"9" * digits + b",")
    assert verdict(value, SALES) in (Reason.OUT_OF_RANGE, Reason.WRONG_TYPE, Reason.NOT_JSON)


def test_the_largest_and_smallest_values_are_in_range() -> None:
    assert verdict(as_bytes(sale(quantity=10_000, unit_price_cents=100_000_000)), SALES) is None
    assert verdict(as_bytes(sale(quantity=1, unit_price_cents=0)), SALES) is None
    assert verdict(as_bytes(click(id="x" * 64, user_id="ü" * 64, page="/" * 2048))) is None


def test_an_event_may_be_five_minutes_ahead_of_its_append_and_no_further() -> None:
    assert verdict(as_bytes(click(NOW_MS + FUTURE_LIMIT_MS))) is None
    assert verdict(as_bytes(click(NOW_MS + FUTURE_LIMIT_MS + 1))) == Reason.FROM_FUTURE
    assert verdict(as_bytes(click(time="9999-12-31T23:59:59-23:59"))) == Reason.FROM_FUTURE


def test_an_event_is_never_older_than_the_year_2000() -> None:
    assert verdict(as_bytes(click(OLDEST_MS))) is None
    assert verdict(as_bytes(click(OLDEST_MS - 1))) == Reason.OUT_OF_RANGE
    assert verdict(as_bytes(click(time="0001-01-01T00:00:00+23:59"))) == Reason.OUT_OF_RANGE


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (patched(click(), b'"id":"event-1"', b'"id":"event-1","id":"event-2"'), None),
        (patched(click(), b'"id":"event-1"', b'"id":"event-1","id":7'), Reason.WRONG_TYPE),
        (patched(click(), b'"country":"DE"', b'"country":"DE","country":"de"'), Reason.BAD_FORMAT),
        (patched(click(), b'"id":"event-1"', b'"id":7,"id":"event-1"'), None),
        (b'{"type":"x","type":[1]}', Reason.WRONG_TYPE),
        (b'{"type":[1],"type":"x"}', Reason.UNKNOWN_TYPE),
    ],
    ids=brief,
)
def test_of_a_key_that_stands_twice_the_last_is_judged(value: bytes, expected: Reason | None) -> None:
    assert verdict(value) == expected


def test_the_last_of_two_equal_keys_counts() -> None:
    value = patched(click(), b'"spring"', b'"spring","campaign_id":"summer"')
    event = KERNEL[CLICKS].decide.one(value, NOW_MS)[1]
    assert event.data.campaign_id == "summer"


def test_the_list_of_reasons_is_closed() -> None:
    assert set(SHOP.reasons) == {
        "not_json",
        "unknown_type",
        "wrong_topic",
        "missing_field",
        "wrong_type",
        "bad_format",
        "out_of_range",
        "from_future",
        "wrong_currency",
        "not_stamped",
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
FIELDS = sorted({*click(), *sale(), *click()["data"], *sale()["data"]})


@given(st.binary(max_size=300), st.sampled_from(TOPICS))
def test_arbitrary_bytes_are_an_event_or_rejected(value: bytes, topic: str) -> None:
    verdict(value, topic)


@given(JSON, st.sampled_from(TOPICS))
def test_arbitrary_json_is_an_event_or_rejected(document: object, topic: str) -> None:
    assert verdict(msgspec.json.encode(document), topic) is not None


@given(st.sampled_from([click(), sale()]), st.sampled_from(FIELDS), JSON, st.sampled_from(TOPICS))
@example(sale(), "quantity", 10**40, SALES)
def test_an_event_with_one_arbitrary_field_is_an_event_or_rejected(
    document: dict[str, Any], field: str, value: object, topic: str
) -> None:
    place = document["data"] if field in document["data"] else document
    changed = {**document, "data": {**document["data"]}}
    (changed["data"] if place is document["data"] else changed)[field] = value
    verdict(msgspec.json.encode(changed), topic)


@given(st.sampled_from([as_bytes(click()), as_bytes(sale())]), st.data(), st.sampled_from(TOPICS))
def test_an_event_with_some_bytes_replaced_is_an_event_or_rejected(value: bytes, data: Any, topic: str) -> None:
    start = data.draw(st.integers(0, len(value)))
    end = data.draw(st.integers(start, min(len(value), start + 20)))
    verdict(value[:start] + data.draw(st.binary(max_size=20)) + value[end:], topic)


@given(st.text(max_size=45))
def test_any_time_text_is_judged_without_an_error(text: str) -> None:
    if not any(0xD800 <= ord(c) < 0xE000 for c in text):
        verdict(as_bytes(click(time=text)))


@given(st.integers(OLDEST_MS, NOW_MS + FUTURE_LIMIT_MS))
def test_the_event_time_is_what_the_text_says(time_ms: int) -> None:
    document = click(time=to_text(time_ms))
    assert KERNEL[CLICKS].decide.one(as_bytes(document), NOW_MS)[0] == time_ms
