"""Declarations and records by chance: every kind of field, rule, dimension and measure, in every envelope."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

from core.contract import UNSTAMPED_MS
from core.declaration.error import DeclarationError
from core.declaration.expression import LARGEST
from core.declaration.pipeline import Field, FieldType, Pipeline, Stream
from core.declaration.reader import read
from core.position import PartitionKey
from tests.support.edits import SCRAPS
from tests.support.events import NOW_MS
from tests.support.raw_log import Row

TEXTS: Final = ["a", "bc", "it's", 'say "x"', "é", "日本", "\U0001f6b2", "x" * 9]
#: A pattern, and texts that it matches.
PATTERNS: Final = {
    "[a-z]{2}": ["de", "at"],
    "[A-Z]+-\\d{3}": ["AB-123", "Z-000"],
    "(north|south)?west": ["west", "southwest"],
}
ENVELOPES: Final = (
    'format = "cloudevents"',
    'id = "/id"\ntime = "/time"',
    'id = "/meta/id"\nid_type = "integer"\ntime = "/at"\ntime_format = "epoch_s"\ndata = "/body"',
    'id = "/id"\ntime = "/at"\ntime_format = "epoch_us"',
    'time = "/at"\ntime_format = "epoch_ms"',
    'id = "/id"\nid_type = "integer"',
    'data = "/body"',
)


def declaration(random: Random) -> Pipeline:
    """A pipeline whose declaration is valid."""
    while True:
        try:
            return read(_text(random).encode(), "chance.toml")
        except DeclarationError as error:
            # an expression by chance may leave 64 bits, which is refused
            assert "64 bits" in str(error), error


def records(random: Random, pipeline: Pipeline, count: int) -> list[Row]:
    """A log in the order of append times: events, repetitions, and values spoilt in all ways."""
    log: list[Row] = []
    ends: dict[PartitionKey, int] = {}
    for number in range(count):
        stream = random.choice(list(pipeline.streams.values()))
        source = PartitionKey(stream.name, random.randrange(2))
        append_ms = NOW_MS + 100 * number
        same = [row.value for row in log[-20:] if row.source == source]
        value = random.choice(same) if same and random.random() < 0.1 else _value(random, pipeline, stream, number)
        offset = ends.get(source, 0)
        log.append(Row(source, offset, UNSTAMPED_MS if random.random() < 0.01 else append_ms, b"k", value))
        ends[source] = offset + 1
    return log


def _text(random: Random) -> str:
    lines = ['name = "chance"', "[envelope]", envelope := random.choice(ENVELOPES)]
    lines += ["[types]", 'word = { type = "string", minLength = 1, maxLength = 8 }']
    streams = [f"s{number}" for number in range(random.randrange(1, 4))]
    fields = {name: _fields(random) for name in streams}
    for name in streams:
        lines.append(f"[streams.{name}]")
        if "cloudevents" in envelope:
            lines.append(f'event = "of.{name}.v1"')
        lines += [f"fields.{field} = {{ {told} }}" for field, (told, _) in fields[name].items()]
        rules = [
            f"require.bad_{number} = {json.dumps(_condition(random, fields[name]), ensure_ascii=False)}"
            for number in range(2)
        ]
        lines += rules[: random.randrange(3)]
    known = sorted({field for each in fields.values() for field in each})
    lines.append("[dimensions]")
    for number in range(random.randrange(4)):
        together = random.sample(known, min(len(known), random.choice((1, 1, 2))))
        if any(set(together) <= set(each) for each in fields.values()):
            lines.append(f'd{number} = {{ by = "{", ".join(together)}", open = true }}')
    for number in range(random.randrange(1, 5)):
        stream = random.choice(streams)
        lines.append(f"[measures.m{number}]")
        numbers = [field for field, (_, kind) in fields[stream].items() if kind == "integer"]
        if numbers and random.random() < 0.6:
            lines += [f'of = "{stream}"', f'sum = "{_number(random, numbers, 2)}"']
        else:
            lines.append(f'count = "{stream}"')
        if random.random() < 0.4:
            lines.append(f"where = {json.dumps(_condition(random, fields[stream]), ensure_ascii=False)}")
    if random.random() < 0.7:
        lines += ["[distinct]", f'different = "{random.choice(known)}"']
    return "\n".join(lines) + "\n"


def _fields(random: Random) -> dict[str, tuple[str, str]]:
    """Name to what is declared and the kind that an expression sees."""
    kinds: list[tuple[str, str]] = [
        ('type = "word"', "text"),
        ('type = "string", maxLength = 6', "text"),
        ('type = "string", enum = ["on", "off", "it\'s"]', "text"),
        *((f"type = \"string\", pattern = '{pattern}'", "text") for pattern in PATTERNS),
        ('type = "integer", minimum = -5, maximum = 1_000', "integer"),
        ('type = "integer", minimum = 0, maximum = 4_000_000_000', "integer"),
        ('type = "integer"', "integer"),
        ('type = "decimal", scale = 2, minimum = -10, maximum = 10_000', "integer"),
        ('type = "decimal", scale = 3, text = true, minimum = 0, maximum = 99', "integer"),
        ('type = "boolean"', "boolean"),
    ]
    found = {}
    for number in range(random.randrange(1, 7)):
        told, kind = random.choice(kinds)
        if random.random() < 0.3:
            told += ", optional = true"
        if random.random() < 0.3:
            told += f', path = "/{random.choice(("in", "in/deep"))}/{"xyz"[number % 3]}{number}"'
        found[f"f{number}"] = (told, kind)
    return found


def _number(random: Random, names: list[str], depth: int) -> str:
    if not depth or random.random() < 0.4:
        return random.choice([*names, "0", "1", "-3", "100"])
    return f"({_number(random, names, depth - 1)} {random.choice('+-*')} {_number(random, names, depth - 1)})"


def _condition(random: Random, fields: dict[str, tuple[str, str]], depth: int = 2) -> str:
    if depth and random.random() < 0.4:
        one, other = (_condition(random, fields, depth - 1) for _ in range(2))
        return random.choice([f"({one} and {other})", f"({one} or {other})", f"(not {one})"])
    name = random.choice(list(fields))
    kind = fields[name][1]
    if kind == "boolean":
        return name
    if kind == "text":
        return f"{name} {random.choice(('==', '!='))} {random.choice([*TEXTS, 'on', 'de'])!r}"
    numbers = [each for each, (_, other) in fields.items() if other == "integer"]
    sign = random.choice(("==", "!=", "<", "<=", ">", ">="))
    return f"{_number(random, numbers, 1)} {sign} {_number(random, numbers, 1)}"


def _value(random: Random, pipeline: Pipeline, stream: Stream, number: int) -> bytes | None:
    if random.random() < 0.02:
        return random.choice([None, b"", b"{", b"[]", b"\xff{}", b'{"a":1}{"a":2}', b"1e999", b"[" * 300])
    document: dict[str, Any] = {}
    for path, value in _envelope(random, pipeline, stream, number):
        _put(document, path, value)
    for field in stream.fields.values():
        if not field.optional or random.random() < 0.6:
            _put(document, field.path, _fitting(random, field))
    if random.random() < 0.4:
        _spoil(random, document)
    return json.dumps(document, ensure_ascii=random.random() < 0.5).encode()


def _envelope(random: Random, pipeline: Pipeline, stream: Stream, number: int) -> Iterator[tuple[tuple[str, ...], Any]]:
    envelope = pipeline.envelope
    time_ms = NOW_MS + 100 * number - random.choice([0, 50, 61_000, 400_000])
    if envelope.cloudevents:
        yield ("specversion",), "1.0"
        yield ("source",), random.choice(["here", "there"])
        yield ("type",), stream.event
    if envelope.id is not None:
        yield envelope.id.path, number if envelope.id.type.kind == "integer" else f"e{number}"
    if envelope.time is not None:
        made: dict[str, Callable[[], Any]] = {
            "rfc3339": lambda: datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(),
            "epoch_s": lambda: time_ms // 1000,
            "epoch_ms": lambda: time_ms,
            "epoch_us": lambda: time_ms * 1000,
        }
        yield envelope.time, made[envelope.time_format]()


def _fitting(random: Random, field: Field) -> Any:
    """A value of a field's type, often at its limits; texts that a rule of lengths refuses are among them."""
    kind: FieldType = field.type
    if kind.kind == "boolean":
        return random.random() < 0.5
    if kind.kind == "string":
        matching = PATTERNS[kind.pattern] if kind.pattern else TEXTS
        return random.choice(kind.values or matching)
    number = max(kind.minimum, min(kind.maximum, random.randrange(50)))
    # where there are no limits but those of 64 bits, sums seldom leave them
    if random.random() < (0.6 if kind.maximum < LARGEST else 0.002):
        number = random.choice([kind.minimum, kind.maximum])
    if kind.kind == "integer":
        return number
    scaled = number / 10**kind.scale
    return f"{number // 10**kind.scale}.{number % 10**kind.scale:0{kind.scale}}" if kind.text else scaled


def _put(document: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    *folders, name = path
    for folder in folders:
        document = document.setdefault(folder, {})
    document[name] = value


def _spoil(random: Random, document: dict[str, Any]) -> None:
    """Takes away or replaces one value, wherever it is."""
    places = [document]
    for place in places:
        places += [each for each in place.values() if isinstance(each, dict)]
    place = random.choice([each for each in places if each] or [document])
    if place:
        name = random.choice(list(place))
        if random.random() < 0.2:
            del place[name]
        else:
            place[name] = random.choice(SCRAPS)
