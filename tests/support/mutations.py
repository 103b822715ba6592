"""Values of records that are a little or wholly wrong, from a seeded generator."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

from tests.support.events import as_bytes, click, sale
from tests.support.shop_events import TOPICS

SCRAPS = [
    b"",
    b"\x00",
    b"\xff\xfe",
    b"null",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"9" * 400,
    b"-0",
    b"1.0",
    b"true",
    b"[]",
    b"{}",
    b'""',
    b'"\\ud800"',
    b'"\\u0000"',
    b'"' + b"x" * 5000 + b'"',
    b"[" * 3000,
    b'{"a":' * 3000,
    b'"1999-12-31T23:59:59Z"',
    b'"9999-12-31T23:59:59-23:59"',
    b'"0001-01-01T00:00:00+23:59"',
    b'"2026-12-31T23:59:60Z"',
    b'"fourfold.click.v1"',
    b'"fourfold.sale.v1"',
    b'"USD"',
    b'"de"',
    b",",
    b":",
    b"}",
    b'"type":1,',
    b'"type":"fourfold.click.v1",',
    b'"data":null,',
]


def fields_of(document: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in document.items():
        yield (*path, name)
        if isinstance(value, dict):
            yield from fields_of(value, (*path, name))


def with_raw(document: dict[str, Any], path: tuple[str, ...], raw: bytes) -> bytes:
    """The document's bytes with one value replaced by bytes as they are."""
    marker = "@@here@@"
    copy = {**document, "data": dict(document["data"])}
    place = copy
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = marker
    return as_bytes(copy).replace(f'"{marker}"'.encode(), raw)


def mutated(draw: random.Random, number: int, now_ms: int) -> tuple[str, bytes | None]:
    """A topic and a value: valid, a little wrong, or garbage."""
    topic = draw.choice(TOPICS)
    make = click if draw.random() < 0.5 else sale
    document = make(now_ms - draw.choice([0, 0, 0, 5, 90_000, -60_000, -400_000]), id=f"m{number}")
    value: bytes | None = as_bytes(document)
    assert value is not None
    kind = draw.randrange(10)
    if kind == 0:
        value = with_raw(document, draw.choice(list(fields_of(document))), draw.choice(SCRAPS))
    elif kind == 1:
        start = draw.randrange(len(value))
        value = value[:start] + draw.choice(SCRAPS) + value[start + draw.randrange(20) :]
    elif kind == 2:
        value = value[: draw.randrange(len(value))]
    elif kind == 3:
        at = draw.randrange(len(value))
        value = value[:at] + bytes([value[at] ^ (1 << draw.randrange(8))]) + value[at + 1 :]
    elif kind == 4:
        value = draw.randbytes(draw.randrange(300))
    elif kind == 5:
        value = draw.choice([None, b"", b" ", *SCRAPS])
    elif kind == 6:
        path = draw.choice(list(fields_of(document)))
        name = f'"{path[-1]}"'.encode()
        value = value.replace(name, draw.choice([b'"x"', name + b':1,"y"', name.upper(), b"1", b"null"]), 1)
    elif kind == 7:
        value = value.decode().encode(draw.choice(["utf-16", "utf-32", "utf-8-sig", "cp500"]))
    elif kind == 8:
        value = value * draw.choice([2, 3]) if draw.random() < 0.5 else b"[" + value + b"]"
    return topic, value
