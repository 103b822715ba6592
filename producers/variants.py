"""Variants of dirt: each spoils a valid event so that one reason to reject it is the right one.

The reasons are said here from the contract's words (core/events.py), not computed by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final, NamedTuple

import msgspec

from core.declaration.pipeline import Pipeline
from core.rfc3339 import millis, to_text
from core.verdict import Reason
from producers.corruptions import Corruption, corruptions
from producers.record import CLICKS, SALES

TOPICS: Final = (CLICKS, SALES)

Document = dict[str, Any]
Spoil = Callable[[bytes, Random], bytes | None]
Value = Callable[[Document, Random], object]

_HOUR_MS: Final = 3_600_000
#: Far beyond the 5 minutes of grace, so that a record that waits for Kafka stays from the future.
_AHEAD_MS: Final = (2 * _HOUR_MS, 30 * 24 * _HOUR_MS)
_LONG_NAME: Final = "x" * 65
#: A decoder of its own: building one takes as long as fifty documents.
_decode: Final = msgspec.json.Decoder(Document).decode


class Variant(NamedTuple):
    """One way to spoil an event of one of `topics`; `elsewhere`: it is sent to the other topic."""

    kind: str
    name: str
    reason: str
    spoil: Spoil
    topics: Sequence[str] = TOPICS
    elsewhere: bool = False


def _fields(path: str, document: Document) -> tuple[Document, str]:
    *folders, name = path.split(".")
    for folder in folders:
        document = document[folder]
    return document, name


def _without(path: str) -> Spoil:
    def spoil(value: bytes, _random: Random) -> bytes:
        document = _decode(value)
        fields, name = _fields(path, document)
        del fields[name]
        return msgspec.json.encode(document)

    return spoil


def _with(path: str, new: Value) -> Spoil:
    def spoil(value: bytes, random: Random) -> bytes:
        document = _decode(value)
        fields, name = _fields(path, document)
        fields[name] = new(document, random)
        return msgspec.json.encode(document)

    return spoil


def _to(path: str, new: object) -> Spoil:
    return _with(path, lambda _document, _random: new)


def _time_as(form: str) -> Value:
    def value(document: Document, _random: Random) -> object:
        text: str = document["time"]
        parts = {"year": text[:4], "month": text[5:7], "day": text[8:10], "clock": text[11:]}
        return form.format(**parts)

    return value


def _epoch_millis(document: Document, _random: Random) -> object:
    return millis[document["time"]]


def _ahead(document: Document, random: Random) -> object:
    return to_text(millis[document["time"]] + random.randint(*_AHEAD_MS))


def _quoted(path: str) -> Spoil:
    def value(document: Document, _random: Random) -> object:
        fields, name = _fields(path, document)
        return str(fields[name])

    return _with(path, value)


def _truncated(value: bytes, random: Random) -> bytes:
    return value[: random.randint(1, len(value) - 1)]


def _noise(_value: bytes, random: Random) -> bytes:
    # 0xFF starts no JSON and no UTF-8
    return b"\xff" + random.randbytes(random.randint(0, 200))


def _not_utf8(value: bytes, _random: Random) -> bytes:
    return value.replace(b'"user-', b'"us\xe9r-', 1)


def _bytes(value: bytes | None) -> Spoil:
    return lambda _value, _random: value


def _nested(value: bytes, _random: Random) -> bytes:
    return value[:-1] + b',"extra":' + b"[" * 5_000


def _same(value: bytes, _random: Random) -> bytes:
    return value


_ENVELOPE: Final = ("type", "specversion", "id", "source", "time", "data")
_CLICK_ONLY: Final = ("page",)
_BOTH: Final = ("user_id", "session_id", "product_id", "campaign_id", "country")
_SALE_ONLY: Final = ("order_id", "quantity", "unit_price_cents", "currency")
_ON_CLICKS: Final = (CLICKS,)
_ON_SALES: Final = (SALES,)


def _missing() -> list[Variant]:
    topics_of = (
        dict.fromkeys((*_ENVELOPE, *(f"data.{name}" for name in _BOTH)), TOPICS)
        | dict.fromkeys((f"data.{name}" for name in _CLICK_ONLY), _ON_CLICKS)
        | dict.fromkeys((f"data.{name}" for name in _SALE_ONLY), _ON_SALES)
    )
    return [
        Variant("missing_field", f"no {path}", Reason.MISSING_FIELD, _without(path), topics)
        for path, topics in topics_of.items()
    ]


def _of(kind: str, reason: str, topics: Sequence[str], spoils: dict[str, Spoil]) -> list[Variant]:
    return [Variant(kind, name, reason, spoil, topics) for name, spoil in spoils.items()]


VARIANTS: Final = (
    *_missing(),
    *_of(
        "wrong_type",
        Reason.WRONG_TYPE,
        TOPICS,
        {
            "type is a number": _to("type", 1),
            "id is a number": _to("id", 4711),
            "time in milliseconds": _with("time", _epoch_millis),
            "time is null": _to("time", None),
            "data is an array": _to("data", []),
            "data is text": _to("data", "{}"),
            "user is a number": _to("data.user_id", 12345),
            "campaign is null": _to("data.campaign_id", None),
            "product is a list": _to("data.product_id", ["espresso-cup"]),
            "country is an object": _to("data.country", {"code": "DE"}),
            "an array": _bytes(b"[1,2,3]"),
            "a number": _bytes(b"42"),
            "null": _bytes(b"null"),
        },
    ),
    *_of(
        "wrong_type",
        Reason.WRONG_TYPE,
        _ON_SALES,
        {
            "quantity as text": _quoted("data.quantity"),
            "quantity as boolean": _to("data.quantity", True),
            "quantity as float": _to("data.quantity", 1.5),
            "quantity is null": _to("data.quantity", None),
            "price as text": _quoted("data.unit_price_cents"),
            "price in euros": _to("data.unit_price_cents", 12.9),
            "currency is a number": _to("data.currency", 978),
        },
    ),
    *_of(
        "bad_format",
        Reason.BAD_FORMAT,
        TOPICS,
        {
            "date dd/mm/yyyy": _with("time", _time_as("{day}/{month}/{year} {clock}")),
            "date dd/mm/yyyy alone": _with("time", _time_as("{day}/{month}/{year}")),
            "date alone": _with("time", _time_as("{year}-{month}-{day}")),
            "time without offset": _with("time", _time_as("{year}-{month}-{day}T10:00:00.000")),
            "month 13": _with("time", _time_as("{year}-13-{day}T{clock}")),
            "time in words": _to("time", "yesterday at a quarter past ten"),
            "time is empty": _to("time", ""),
            "country in words": _to("data.country", "germany"),
            "country of three letters": _to("data.country", "DEU"),
            "country in small letters": _to("data.country", "de"),
            "country in digits": _to("data.country", "49"),
            "country not in ASCII": _to("data.country", "ÖS"),
            "country is empty": _to("data.country", ""),
            "specversion 0.3": _to("specversion", "0.3"),
        },
    ),
    *_of(
        "bad_format",
        Reason.BAD_FORMAT,
        _ON_SALES,
        {
            "currency in words": _to("data.currency", "euro"),
            "currency in small letters": _to("data.currency", "eur"),
            "currency as a sign": _to("data.currency", "€"),
        },
    ),
    *_of(
        "out_of_range",
        Reason.OUT_OF_RANGE,
        TOPICS,
        {
            "id of 65 characters": _to("id", _LONG_NAME),
            "id is empty": _to("id", ""),
            "source is empty": _to("source", ""),
            "user of 65 characters": _to("data.user_id", _LONG_NAME),
            "user is empty": _to("data.user_id", ""),
            "product of 65 characters": _to("data.product_id", _LONG_NAME),
            "campaign is empty": _to("data.campaign_id", ""),
            "time before 2000": _to("time", "1999-12-31T23:59:59.999Z"),
            "time in 1970": _to("time", "1970-01-01T00:00:00.000Z"),
        },
    ),
    *_of(
        "out_of_range",
        Reason.OUT_OF_RANGE,
        _ON_CLICKS,
        {
            "page of 2049 characters": _to("data.page", "/" + "p" * 2048),
            "page is empty": _to("data.page", ""),
        },
    ),
    *_of(
        "out_of_range",
        Reason.OUT_OF_RANGE,
        _ON_SALES,
        {
            "quantity negative": _to("data.quantity", -1),
            "quantity zero": _to("data.quantity", 0),
            "quantity 10001": _to("data.quantity", 10_001),
            "quantity beyond 64 bits": _to("data.quantity", msgspec.Raw(b"1" + b"0" * 30)),
            "price negative": _to("data.unit_price_cents", -1290),
            "price above the limit": _to("data.unit_price_cents", 100_000_001),
            "order of 65 characters": _to("data.order_id", _LONG_NAME),
        },
    ),
    *_of(
        "unknown_type",
        Reason.UNKNOWN_TYPE,
        TOPICS,
        {
            "a refund": _to("type", "fourfold.refund.v1"),
            "version 2": _to("type", "fourfold.click.v2"),
            "capital letters": _to("type", "FOURFOLD.CLICK.V1"),
            "empty": _to("type", ""),
        },
    ),
    *_of(
        "broken_json",
        Reason.NOT_JSON,
        TOPICS,
        {
            "truncated": _truncated,
            "last brace missing": lambda value, _random: value[:-1],
            "two documents": lambda value, _random: value + value,
            "comma missing": lambda value, _random: value.replace(b',"id"', b'"id"', 1),
            "comma too many": lambda value, _random: value[:-1] + b",}",
            "single quotes": lambda value, _random: value.replace(b'"', b"'"),
            "bytes that are not UTF-8": _not_utf8,
            "nested without end": _nested,
        },
    ),
    *_of(
        "garbage",
        Reason.NOT_JSON,
        TOPICS,
        {
            "no value": _bytes(None),
            "empty value": _bytes(b""),
            "blanks": _bytes(b"   \n"),
            "noise": _noise,
            "words": _bytes(b"hello, is anybody there?"),
            "a web page": _bytes(b"<!doctype html><title>502 Bad Gateway</title>"),
            "comma separated": _bytes(b"user-1,espresso-cup,2026-01-31,1290"),
            "Avro": _bytes(b"\x00\x00\x00\x00\x2a\x0cuser-1\x18espresso-cup"),
        },
    ),
    *_of("from_future", Reason.FROM_FUTURE, TOPICS, {"hours or days": _with("time", _ahead)}),
    *_of(
        "from_future",
        Reason.FROM_FUTURE,
        TOPICS,
        {"year 2999": _with("time", _time_as("2999-{month}-28T{clock}"))},
    ),
    Variant("wrong_topic", "the other topic", Reason.WRONG_TOPIC, _same, elsewhere=True),
    *_of(
        "wrong_currency",
        "wrong_currency",
        _ON_SALES,
        {code: _to("data.currency", code) for code in ("USD", "GBP", "CHF", "PLN")},
    ),
)


def variants_of(pipeline: Pipeline) -> tuple[Variant, ...]:
    """The variants, and the corruptions of fields that the declaration has beside those that are spoilt here."""
    known = {(topic, name) for topic in TOPICS for name in _BOTH}
    known |= {(CLICKS, name) for name in _CLICK_ONLY} | {(SALES, name) for name in _SALE_ONLY}
    kinds = {variant.reason: variant.kind for variant in VARIANTS}
    more = [
        Variant(kinds[each.reason], f"{each.stream}: {each.name}", each.reason, _spoilt(each), (each.stream,))
        for each in corruptions(pipeline)
        if each.stream in TOPICS and (each.stream, each.field) not in known and each.reason in kinds
    ]
    return (*VARIANTS, *more)


def _spoilt(corruption: Corruption) -> Spoil:
    return lambda value, _random: corruption.spoil(value)
