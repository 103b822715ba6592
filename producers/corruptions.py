"""Corruptions: what a declaration says of each field, broken once in each way, with the reason that must be given.

The reasons are said here from the declaration's words, not computed by the kernel.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from core.declaration.expression import LARGEST, SMALLEST, Constant, Name, Operation
from core.declaration.pipeline import Field, FieldType, Pipeline, Stream
from core.verdict import Reason

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode
#: A value of another type, by kind.
_WRONG: Final[dict[str, Any]] = {"string": 12345, "integer": "7", "decimal": [], "boolean": "yes"}
#: Texts among which there is one that a pattern does not match.
_TEXTS: Final = ("", "?", "in words", "ab", "AB", "12", "€", "aB-1 ?€" * 9)


class Corruption(NamedTuple):
    """One way to break a sound event of a stream: `spoil` makes the bytes of its bytes."""

    stream: str
    field: str
    name: str
    reason: str
    spoil: Callable[[bytes], bytes]


def corruptions(pipeline: Pipeline) -> Iterator[Corruption]:
    """Of each field of each stream: missing, of another type, in another format, out of range; and of each rule."""
    for stream in pipeline.streams.values():
        for field in stream.fields.values():
            for reason, name, spoil in _of(field):
                yield Corruption(stream.name, field.name, f"{field.name} {name}", reason, spoil)
        yield from _of_rules(stream)


def _of(field: Field) -> Iterator[tuple[str, str, Callable[[bytes], bytes]]]:
    kind = field.type
    if not field.optional:
        yield Reason.MISSING_FIELD, "is missing", lambda value: _without(value, field)
    wrong = 4711 if kind.kind == "decimal" and kind.text else _WRONG[kind.kind]
    yield Reason.WRONG_TYPE, "has another type", _to(field, wrong)
    if kind.kind == "string":
        yield from _of_text(field)
    elif kind.kind in ("integer", "decimal"):
        for name, limit, beyond, end in (
            ("is below the least", kind.minimum, kind.minimum - 1, SMALLEST),
            ("is above the most", kind.maximum, kind.maximum + 1, LARGEST),
        ):
            if limit != end:
                yield Reason.OUT_OF_RANGE, name, _to(field, _number(kind, beyond))


def _of_text(field: Field) -> Iterator[tuple[str, str, Callable[[bytes], bytes]]]:
    kind = field.type
    if kind.values:
        yield Reason.BAD_FORMAT, "is none of the values", _to(field, "-".join(kind.values))
        return
    if kind.min_length:
        yield Reason.OUT_OF_RANGE, "is too short", _to(field, "x" * (kind.min_length - 1))
    if kind.max_length is not None:
        yield Reason.OUT_OF_RANGE, "is too long", _to(field, "x" * (kind.max_length + 1))
    if kind.pattern is not None and (text := _text(kind, matches=False)) is not None:
        yield Reason.BAD_FORMAT, "has another form", _to(field, text)


def _of_rules(stream: Stream) -> Iterator[Corruption]:
    """Of the rules that want one text in a field; what breaks others depends on the event."""
    for rule in stream.rules:
        match rule.condition.root:
            case Operation(sign="==", parts=(Name(name=name), Constant(value=str(wanted)))):
                field = stream.fields[name]
                other = _text(field.type, matches=True, but=wanted)
                if other is not None:
                    yield Corruption(stream.name, name, f"{name} is {other}", rule.reason, _to(field, other))


def _text(kind: FieldType, *, matches: bool, but: str = "") -> str | None:
    """A text of the right length, and of the right form or not; None where none is found."""
    turned = "".join(chr(ord(sign) + 1) if sign.isalnum() and sign not in "zZ9" else sign for sign in but)
    for text in (turned, *_TEXTS) if but else _TEXTS:
        fits = kind.min_length <= len(text) <= (LARGEST if kind.max_length is None else kind.max_length)
        formed = kind.pattern is None or re.fullmatch(kind.pattern, text, re.ASCII) is not None
        if text != but and fits and formed is matches and (not kind.values or text in kind.values):
            return text
    return None


def _number(kind: FieldType, scaled: int) -> int | float | str:
    if kind.kind == "integer":
        return scaled
    number = scaled / 10**kind.scale
    return f"{number:.{kind.scale}f}" if kind.text else number


def _to(field: Field, new: Any) -> Callable[[bytes], bytes]:
    def spoil(value: bytes) -> bytes:
        document = _decode(value)
        _parent(document, field)[field.path[-1]] = new
        return msgspec.json.encode(document)

    return spoil


def _without(value: bytes, field: Field) -> bytes:
    document = _decode(value)
    del _parent(document, field)[field.path[-1]]
    return msgspec.json.encode(document)


def _parent(document: dict[str, Any], field: Field) -> dict[str, Any]:
    for part in field.path[:-1]:
        document = document.setdefault(part, {})
    return document
