"""A log of records, good and spoilt, from a seed and Python's own library alone: the same under any version of the product.

Changing it makes `tests/data/kernel-5d670a1.json.xz` worthless (`tests/support/kernel_before.py` makes that).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

START_MS: Final = 1_767_225_600_000
PARTITIONS: Final = 3
TOPICS: Final = ("clicks", "sales")
SCRAPS: Final = [
    b"", b"\x00", b"\xff\xfe", b"\xc3", b"null", b"NaN", b"-Infinity", b"1e999", b"9" * 400, b"-0", b"1.0", b"1e2",
    b"true", b"[]", b"{}", b'""', b'"\\ud800"', b'"\\u0000"', b'"' + b"x" * 65 + b'"', b'"' + b"x" * 2049 + b'"',
    b"[" * 300 + b"]" * 300, b'{"a":' * 300 + b"1" + b"}" * 300, b"[" * 3000, b"18446744073709551616",
    b'"1999-12-31T23:59:59Z"', b'"9999-12-31T23:59:59-23:59"', b'"0001-01-01T00:00:00+23:59"', b'"2026-12-31T23:59:60Z"',
    b'"2026-01-01 00:00:00+0100"', b'"2026-01-01T00:00:00"', b'"fourfold.click.v1"', b'"fourfold.sale.v1"',
    b'"USD"', b'"de"', b'"DE"', b'"EUR"', b",", b":", b"}", b'"type":1,', b'"type":"fourfold.click.v1",', b'"data":null,',
]  # fmt: skip


class Sent(NamedTuple):
    """A record, before it has a place."""

    topic: str
    partition: int
    append_ms: int
    value: bytes | None


def log(seed: int, count: int) -> Iterator[Sent]:
    """`count` records in the order of their appends."""
    draw = random.Random(seed)
    append_ms = START_MS
    for number in range(count):
        append_ms += (
            draw.choice([0, 0, 0, 1, 2, 7]) if draw.random() < 0.999 else draw.choice([30_000, -400, -5_000, 61_000])
        )
        topic = TOPICS[draw.random() < 0.3]
        partition = draw.randrange(PARTITIONS)
        again = draw.random() < 0.03
        document = _event(draw, topic, max(0, number - draw.randrange(2_000)) if again else number, append_ms)
        value: bytes | None = _bytes(document)
        if draw.random() < 0.5:
            value = draw.choice(SPOILERS)(draw, document, value or b"")
        stamp = 0 if draw.random() < 0.001 else append_ms
        yield Sent(topic, partition, stamp, value)


def _event(draw: random.Random, topic: str, number: int, append_ms: int) -> dict[str, Any]:
    behind = (
        draw.choice([0, 3, 40, 700, 2_500])
        if draw.random() < 0.97
        else draw.choice([61_000, 200_000, -2_000, -299_000])
    )
    moment = datetime.fromtimestamp((append_ms - behind) // 1000, UTC)
    time = f"{moment:%Y-%m-%dT%H:%M:%S}.{(append_ms - behind) % 1000:03}Z"
    data: dict[str, Any] = {
        "user_id": f"user-{draw.randrange(5_000)}",
        "session_id": f"session-{draw.randrange(20_000)}",
        "product_id": draw.choice(["espresso-cup", "french-press", "tasse-à-café", "mug|1:2"]),
        "campaign_id": draw.choice(["spring", "newsletter", "direct", "été"]),
        "country": draw.choice(["DE", "FR", "BE", "AT"]),
    }
    if topic == "clicks":
        data["page"] = f"/p/{draw.randrange(50)}"
    else:
        data |= {
            "order_id": f"o{number}",
            "quantity": draw.randrange(1, 9),
            "unit_price_cents": draw.randrange(0, 9_900),
        }
        data["currency"] = "EUR"
    if draw.random() < 0.1:
        data["note"] = draw.choice([1, "x", None, [1, {"a": "é"}], {"deep": [[[]]]}])
    kind = "fourfold.click.v1" if topic == "clicks" else "fourfold.sale.v1"
    head = {"specversion": "1.0", "id": f"{topic}-{number}", "source": "/shop", "type": kind, "time": time}
    return {**head, "data": data}


def _bytes(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _places(document: dict[str, Any]) -> list[tuple[str, ...]]:
    return [(name,) for name in document] + [("data", name) for name in document["data"]]


def _with(document: dict[str, Any], place: tuple[str, ...], raw: bytes) -> bytes:
    copy = {**document, "data": dict(document["data"])}
    inner = copy
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = "@@here@@"
    return _bytes(copy).replace(b'"@@here@@"', raw)


def _other_value(draw: random.Random, document: dict[str, Any], _: bytes) -> bytes:
    return _with(document, draw.choice(_places(document)), draw.choice(SCRAPS))


def _other_values(draw: random.Random, document: dict[str, Any], _: bytes) -> bytes:
    """Several faults in one record."""
    value = _bytes(document)
    for place in draw.sample(_places(document), 3):
        name = f'"{place[-1]}":'.encode()
        if value.count(name) == 1:
            value = value.replace(name, name + draw.choice([b'"x",', b"7,", b"null,"]) + b'"_":')
    return value


def _missing(draw: random.Random, document: dict[str, Any], _: bytes) -> bytes:
    copy = {**document, "data": dict(document["data"])}
    place = draw.choice(_places(document))
    del (copy["data"] if len(place) > 1 else copy)[place[-1]]
    return _bytes(copy)


def _spliced(draw: random.Random, _: dict[str, Any], value: bytes) -> bytes:
    start = draw.randrange(len(value))
    return value[:start] + draw.choice(SCRAPS) + value[start + draw.randrange(20) :]


def _flipped(draw: random.Random, _: dict[str, Any], value: bytes) -> bytes:
    at = draw.randrange(len(value))
    return value[:at] + bytes([value[at] ^ (1 << draw.randrange(8))]) + value[at + 1 :]


def _cut(draw: random.Random, _: dict[str, Any], value: bytes) -> bytes:
    return value[: draw.randrange(len(value))]


def _garbage(draw: random.Random, _: dict[str, Any], __: bytes) -> bytes | None:
    return draw.choice([None, b"", b" ", draw.randbytes(draw.randrange(300)), *SCRAPS])


def _twice(draw: random.Random, document: dict[str, Any], value: bytes) -> bytes:
    name = f'"{draw.choice(_places(document))[-1]}"'.encode()
    return value.replace(name, name + draw.choice([b":1,", b':"y",', b":null,"]) + name, 1)


def _renamed(draw: random.Random, document: dict[str, Any], value: bytes) -> bytes:
    name = f'"{draw.choice(_places(document))[-1]}"'.encode()
    return value.replace(name, draw.choice([b'"x"', name.upper(), b"1", b"null"]), 1)


def _encoded(draw: random.Random, _: dict[str, Any], value: bytes) -> bytes:
    return value.decode().encode(draw.choice(["utf-16", "utf-32", "utf-8-sig"]))


def _escaped(draw: random.Random, document: dict[str, Any], _: bytes) -> bytes:
    """As sound as before, in other bytes."""
    return json.dumps(document, ensure_ascii=True, indent=draw.choice([None, 1])).encode()


def _extra(draw: random.Random, document: dict[str, Any], _: bytes) -> bytes:
    """Something in a field that nobody asked for."""
    copy = {**document, "data": {**document["data"], "extra": 1}}
    return _with(copy, ("data", "extra"), draw.choice([*SCRAPS, b'"\xff"', b'{"id":1,"id":2}']))


def _repeated(draw: random.Random, _: dict[str, Any], value: bytes) -> bytes:
    return value * 2 if draw.random() < 0.5 else b"[" + value + b"]"


SPOILERS: Final[list[Callable[[random.Random, dict[str, Any], bytes], bytes | None]]] = [
    _other_value, _other_value, _other_value, _other_values, _missing, _spliced, _flipped, _cut, _garbage, _twice,
    _renamed, _encoded, _escaped, _extra, _repeated,
]  # fmt: skip
