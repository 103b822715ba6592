"""A declaration is read whole, or refused in one line that says where, what is wrong and what would be right."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from core.declaration.error import DeclarationError
from core.declaration.pipeline import Pipeline
from core.declaration.reader import LARGEST_FILE, read
from tests.support.shop_events import EVENT_OF_TOPIC

COUNTRY = 'country  = { by = "country", label = "Countries", description = "ISO 3166" }'
SHOP = Path("pipelines/shop.toml").read_text(encoding="utf-8")
SMALL = """\
name = "trips"
[envelope]
time = "/started"
time_format = "epoch_ms"
[streams.trips]
fields.city = { type = "string", enum = ["Rome", "Oslo"] }
fields.metres = { type = "integer", minimum = 0, maximum = 1_000_000 }
fields.paid = { type = "boolean", optional = true }
[dimensions]
city = "city"
city_and_paid = "city, paid"
[measures]
trips = { count = "trips", where = "paid or metres > 100" }
[ratios]
share = "(trips - trips) / trips"
"""


def refused(text: str) -> str:
    with pytest.raises(DeclarationError) as raised:
        read(text.encode(), "x.toml")
    message = str(raised.value)
    assert "\n" not in message
    assert raised.value.exit_code == 2
    return message


def changed(old: str, new: str, text: str = SHOP) -> str:
    assert old in text
    return text.replace(old, new, 1)


def test_the_shop_declares_what_the_contract_has() -> None:
    shop = read(SHOP.encode(), "shop.toml")
    assert list(shop.streams) == list(EVENT_OF_TOPIC)
    for topic, event in EVENT_OF_TOPIC.items():
        stream = shop.streams[topic]
        assert stream.event == event.__struct_config__.tag
        (data,) = (field.type for field in msgspec.structs.fields(event) if field.name == "data")
        assert list(stream.fields) == [field.name for field in msgspec.structs.fields(data)]
    assert [m.name for m in shop.measures_of("sales")] == ["sales", "units", "revenue_cents"]
    assert [d.name for d in shop.dimensions_of("clicks")] == ["campaign", "product", "country"]
    assert [f.name for f in shop.streams["sales"].fields.values() if f.personal] == ["user_id"]
    assert shop.streams["sales"].rules[0].reason == "wrong_currency"


def test_what_a_declaration_may_leave_out() -> None:
    trips: Pipeline = read(SMALL.encode(), "x.toml")
    assert trips.envelope.id is None
    assert trips.envelope.time == ("started",)
    assert trips.streams["trips"].fields["city"].path == ("city",)
    assert trips.dimensions["city_and_paid"].fields == ("city", "paid")
    assert trips.measures["trips"].where is not None
    assert trips.measures["trips"].where.names == {"paid", "metres"}
    assert read(b"\xef\xbb\xbf" + SMALL.replace("\n", "\r\n").encode(), "x.toml") == trips


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "shop"', "name = shop", "not TOML: Invalid value (at line 2, column 8)"),
        ('name = "shop"', 'name = "Shop 1"', "line 2, name: 'Shop 1' cannot be a pipeline's name"),
        ('name = "shop"', 'name = "shop"\nmeasure = 1', "line 3, measure: there is no 'measure' here: did you mean 'measures'?"),
        ('name = "shop"', 'name = "shop"\nname = "x"', "not TOML: Cannot overwrite a value"),
        ('format = "cloudevents"', 'format = "cloudevent"', "there is no format 'cloudevent': did you mean 'cloudevents'?"),
        ('type = "quantity" }', 'type = "quantty" }', "there is no type 'quantty': did you mean 'quantity'?"),
        ("minLength = 1, maxLength = 64", "minLength = 9, maxLength = 6", "minLength 9 is above maxLength 6"),
        ("minLength = 1, maxLength = 64", "minLen = 1", "there is no 'minLen' here: did you mean 'minLength'?"),
        ("maximum = 10_000", 'maximum = "many"', "maximum must be a whole number, not 'many'"),
        ("maximum = 10_000", "maximum = 1e30", "maximum must be a whole number, not 1e+30"),
        ("maximum = 10_000", "maximum = 99999999999999999999", "maximum must be from -9,223,372,036,854,775,808 to"),
        ('"[A-Z]{2}"', '"^[A-Z]{2}$"', "it has an anchor"),
        ('"[A-Z]{2}"', '"[A-Z"', "is not a pattern"),
        ('"[A-Z]{2}"', r'"\\s"', r"it has \s, which engines understand differently"),
        ('key   = "user_id"', 'key   = "user"', "there is no field 'user': did you mean 'user_id'?"),
        ('classification = "personal"', 'classification = "secret"', "there is no classification 'secret'"),
        ("currency == 'EUR'", "currency = 'EUR'", "is not an expression"),
        ("currency == 'EUR'", "open('/etc/passwd')", "\"open('/etc/passwd')\" cannot be used in an expression"),
        ("currency == 'EUR'", "curency == 'EUR'", "there is no field 'curency': did you mean 'currency'?"),
        ("currency == 'EUR'", "quantity", "'quantity' gives a whole number where true or false is needed"),
        ("currency == 'EUR'", "currency > 'EUR'", "only numbers have an order"),
        ("currency == 'EUR'", "currency == 1", "compares a text with a whole number"),
        ("currency == 'EUR'", "().__class__", "cannot be used in an expression"),
        ("currency == 'EUR'", "'" + "not " * 2000 + "quantity'", "the expression has"),
        ("require.wrong_currency", "require.not_json", "'not_json' is a reason of Fourfold's own"),
        ('sum = "quantity"', 'sum = "currency"', "gives a text where a whole number is needed"),
        ('sum = "quantity"', 'sum = "quantity * unit_price_cents * unit_price_cents"', "64 bits do not hold"),
        ('sum = "quantity"', 'sum = "quantity / 2"', "'quantity / 2' cannot be used in an expression"),
        ('of = "sales", sum = "quantity"', 'of = "sale", sum = "quantity"', "there is no stream 'sale': did you mean 'sales'?"),
        ('of = "sales", sum = "quantity"', 'count = "sales", of = "sales"', "a measure has either `count`"),
        (COUNTRY, 'country  = "contry"', "no stream has a field 'contry': did you mean 'country'?"),
        (COUNTRY, 'country  = "page, order_id"', "no stream has all of page, order_id"),
        (COUNTRY, 'country  = "page"', "may have any number of values"),
        (COUNTRY, 'clicks  = "country"', "'clicks' stands in dimensions already"),
        (COUNTRY, 'all  = "country"', "'all' is a word of Fourfold's own"),
        (COUNTRY, 'Country  = "country"', "'Country' cannot be a name"),
        ('users = "user_id"', 'users = "usr"', "no stream has a field 'usr'"),
        ('"sales / clicks"', '"sales / click"', "there is no measure 'click': did you mean 'clicks'?"),
        ('"sales / clicks"', '"sales"', "a ratio is one sum of measures over another"),
        ('event = "fourfold.sale.v1"', 'event = "fourfold.click.v1"', "is the event of 'clicks' already"),
        ('event = "fourfold.sale.v1"\n', "", "'event' is missing"),
        ("[streams.sales]", "[streams.repairs]", "'repairs' is a topic of Fourfold's own"),
        ("[streams.sales]", "[streams.sales-eu]", "'sales-eu' cannot be a name"),
        ('description = "A click"', 'description = "A \\u0007click"', "the control character U+0007 cannot be used"),
        ("fields.page        = { type", "fields.page        = { path = '/user_id', type", "is 'user_id' already"),
        ("fields.page        = { type", "fields.page        = { path = '/user_id/x', type", "cannot be a value and hold"),
        ("fields.page        = { type", "fields.page        = { path = 'page', type", "must be a JSON pointer"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(old: str, new: str, message: str) -> None:
    assert message in refused(changed(old, new))


def test_the_line_is_that_of_the_mistake() -> None:
    text = changed("currency == 'EUR'", "curency == 'EUR'")
    line = next(n for n, each in enumerate(text.splitlines(), 1) if "curency" in each)
    assert f"x.toml, line {line}, streams.sales.require.wrong_currency:" in refused(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "'name' is missing"),
        (b"\x00", "not TOML"),
        (b"name = '\xff'", "line 1: not UTF-8"),
        (b"[a]\nb = " + b"[" * 5000 + b"]" * 5000, "not TOML"),
        (b"#" * (LARGEST_FILE + 1), f"has {LARGEST_FILE + 1:,} bytes"),
        (b'name = "x"\nenvelope = 1', "line 2, envelope: envelope must be a table, not 1"),
        (b'name = "x"\n[envelope]\n[streams]', "streams: at least one stream is needed"),
    ],
)
def test_what_is_no_declaration_at_all(text: bytes, message: str) -> None:
    with pytest.raises(DeclarationError, match=r"^x\.toml") as raised:
        read(text, "x.toml")
    assert message in str(raised.value)
