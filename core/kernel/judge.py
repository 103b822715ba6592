"""What an event means, read off its document without types: its values, or the first fault in declared order.

This is the meaning of a declaration. Faster readers may only say yes where it says yes, with the same
values; where they doubt, it is asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from core.contract import FUTURE_LIMIT_MS, LONGEST_TIME, OLDEST_MS, SHORTEST_TIME, UNSTAMPED_MS, not_stamped
from core.declaration.pattern import compiled
from core.declaration.pipeline import EXACT, TIME_UNITS, Field, FieldType, Pipeline, Rule, TimeFormat
from core.kernel.json_document import document_of
from core.kernel.python_source import function_of
from core.rfc3339 import millis
from core.verdict import Reason, Rejected

_TIME_TEXT: Final = FieldType("string")
_TIME_NUMBER: Final = FieldType("integer")


class Judged(NamedTuple):
    """An accepted event.

    Attributes:
        time_ms: Event time, ms since 1970; the append time where the declaration has none.
        values: By field: decimals as scaled integers, None where an optional one is absent.
        document: What the bytes say.
    """

    time_ms: int
    values: Mapping[str, Any]
    document: Mapping[str, Any]


class _Leaf:
    """A value of the document, and how it is checked."""

    __slots__ = ("check", "name", "object", "optional", "pattern", "place", "type")

    def __init__(self, field: Field) -> None:
        self.object = field.path[:-1]
        self.name = field.path[-1]
        self.optional = field.optional
        self.type = field.type
        self.pattern = None if field.type.pattern is None else compiled(field.type.pattern)
        self.place = ".".join(("$", *field.path))
        self.check = _CHECKS[field.type.kind]

    def value(self, document: Any) -> Any:
        """None for an optional one that is absent or null. Raises `Rejected`."""
        node = document
        for depth, part in enumerate(self.object):
            if type(node) is not dict:
                return self._no_object(node, depth)
            if part not in node:
                return self._absent(depth)
            node = node[part]
        if type(node) is not dict:
            return self._no_object(node, len(self.object))
        if self.name not in node:
            return self._absent(len(self.object))
        node = node[self.name]
        if node is None and self.optional:
            return None
        return self.check(node, self.type, self.place, self.pattern)

    def _no_object(self, node: Any, depth: int) -> None:
        if node is None and self.optional:
            return
        place = ".".join(("$", *self.object[:depth]))
        raise Rejected(Reason.WRONG_TYPE, f"Expected `object`, got `{_kind(node)}` - at `{place}`")

    def _absent(self, depth: int) -> None:
        if self.optional:
            return
        part = (*self.object, self.name)[depth]
        place = ".".join(("$", *self.object[:depth]))
        raise Rejected(Reason.MISSING_FIELD, f"Object missing required field `{part}`{_at(place)}")


class Judge:
    """Judges the records of one stream."""

    def __init__(self, pipeline: Pipeline, stream: str) -> None:
        envelope = pipeline.envelope
        self._envelope = envelope
        self._stream = pipeline.streams[stream]
        self._events = {each.event for each in pipeline.streams.values()}
        self._fields = [(each.name, _Leaf(each)) for each in self._stream.fields.values()]
        self._rules = [(rule, function_of(rule.condition)) for rule in self._stream.rules]
        self._type = _Leaf(Field("type", ("type",), FieldType("string")))
        self._head = [_Leaf(each) for each in envelope.fields]
        self._time: _Leaf | None = None
        if envelope.time is not None:
            kind = _TIME_TEXT if envelope.time_format == "rfc3339" else _TIME_NUMBER
            self._time = _Leaf(Field("time", envelope.time, kind))

    def judge(self, value: bytes | None, append_ms: int) -> Judged:
        """The event in a record's bytes.

        Args:
            value: The record's value.
            append_ms: Its append time (`core.contract.append_time`).

        Raises:
            Rejected: With the first fault in this order: append time, JSON, type, envelope, time, fields in declared
                order (missing, type, length or range, pattern), rules in declared order.
        """
        if append_ms == UNSTAMPED_MS:
            raise not_stamped()
        document = document_of(value)
        if type(document) is not dict:
            raise Rejected(Reason.WRONG_TYPE, f"Expected `object`, got `{_kind(document)}`")
        self._check_envelope(document)
        time_ms = self._time_of(document, append_ms)
        values = {name: leaf.value(document) for name, leaf in self._fields}
        for rule, holds in self._rules:
            if holds(values) is False:
                raise Rejected(rule.reason, f"{rule.condition.text} does not hold{self._told(rule, values)}")
        return Judged(time_ms, values, document)

    def _told(self, rule: Rule, values: Mapping[str, Any]) -> str:
        """The values that a rule looked at, but for personal ones."""
        fields = self._stream.fields
        told = [f"{name}: {values[name]!r}" for name in sorted(rule.condition.names) if not fields[name].personal]
        return f" ({', '.join(told)})" if told else ""

    def _check_envelope(self, document: Any) -> None:
        if self._envelope.cloudevents:
            kind = self._type.value(document)
            if kind != self._stream.event:
                if kind in self._events:
                    raise Rejected(Reason.WRONG_TOPIC, f"{kind} does not belong on this topic")
                raise Rejected(Reason.UNKNOWN_TYPE, f"Invalid value {kind!r} - at `$.type`")
        for leaf in self._head:
            leaf.value(document)

    def _time_of(self, document: Any, append_ms: int) -> int:
        if self._time is None:
            return append_ms
        time_ms = _millis(self._time.value(document), self._envelope.time_format)
        if time_ms > append_ms + FUTURE_LIMIT_MS:
            ahead = (time_ms - append_ms) // 1000
            raise Rejected(Reason.FROM_FUTURE, f"event time is {ahead} s ahead of the append time")
        if time_ms < OLDEST_MS:
            raise Rejected(Reason.OUT_OF_RANGE, "event time is before the year 2000")
        return time_ms


def _millis(value: Any, form: TimeFormat) -> int:
    if form == "rfc3339":
        if not SHORTEST_TIME <= len(value) <= LONGEST_TIME:
            raise Rejected(Reason.BAD_FORMAT, f"time: from {SHORTEST_TIME} to {LONGEST_TIME} characters are expected")
        try:
            return millis[value]
        except ValueError as error:
            raise Rejected(Reason.BAD_FORMAT, f"time: {error}") from None
    multiplier, divisor = TIME_UNITS[form]
    return int(value) * multiplier // divisor


def _string(node: Any, wanted: FieldType, place: str, pattern: re.Pattern[str] | None) -> str:
    if type(node) is not str:
        raise Rejected(Reason.WRONG_TYPE, f"Expected `str`, got `{_kind(node)}`{_at(place)}")
    if wanted.values and node not in wanted.values:
        raise Rejected(Reason.BAD_FORMAT, f"Expected one of {', '.join(wanted.values)}{_at(place)}")
    if len(node) < wanted.min_length:
        raise Rejected(Reason.OUT_OF_RANGE, f"Expected `str` of length >= {wanted.min_length}{_at(place)}")
    if wanted.max_length is not None and len(node) > wanted.max_length:
        raise Rejected(Reason.OUT_OF_RANGE, f"Expected `str` of length <= {wanted.max_length}{_at(place)}")
    if pattern is not None and pattern.fullmatch(node) is None:
        raise Rejected(Reason.BAD_FORMAT, f"Expected `str` matching {pattern.pattern}{_at(place)}")
    return node


def _integer(node: Any, wanted: FieldType, place: str, _: object) -> int:
    if type(node) is not int:
        raise Rejected(Reason.WRONG_TYPE, f"Expected `int`, got `{_kind(node)}`{_at(place)}")
    return _within(node, wanted, place)


def decimal_of(node: Any, wanted: FieldType, place: str, _: object = None) -> int:
    """The scaled integer of a decimal, of JSON or of a text. Raises `Rejected`."""
    if wanted.text:
        if type(node) is not str:
            raise Rejected(Reason.WRONG_TYPE, f"Expected `str`, got `{_kind(node)}`{_at(place)}")
        if not _DECIMAL.fullmatch(node):
            raise Rejected(Reason.BAD_FORMAT, f"Expected a decimal number{_at(place)}")
        node = float(node)
    if type(node) not in (int, float):
        raise Rejected(Reason.WRONG_TYPE, f"Expected `number`, got `{_kind(node)}`{_at(place)}")
    unit = 10**wanted.scale
    # beyond it, whether a double is the nearest one of a decimal cannot be told
    if abs(node) * unit > EXACT:
        raise Rejected(Reason.OUT_OF_RANGE, f"Expected at most {EXACT // unit}{_at(place)}")
    scaled = round(node * unit)
    if scaled / unit != node:
        raise Rejected(Reason.BAD_FORMAT, f"Expected at most {wanted.scale} decimals{_at(place)}")
    return _within(scaled, wanted, place)


def _boolean(node: Any, _: FieldType, place: str, __: object) -> bool:
    if type(node) is not bool:
        raise Rejected(Reason.WRONG_TYPE, f"Expected `bool`, got `{_kind(node)}`{_at(place)}")
    return node


def _within(number: int, wanted: FieldType, place: str) -> int:
    if number < wanted.minimum:
        raise Rejected(Reason.OUT_OF_RANGE, f"Expected `int` >= {wanted.minimum}{_at(place)}")
    if number > wanted.maximum:
        raise Rejected(Reason.OUT_OF_RANGE, f"Expected `int` <= {wanted.maximum}{_at(place)}")
    return number


def _at(place: str) -> str:
    return "" if place == "$" else f" - at `{place}`"


def _kind(node: Any) -> str:
    return _KINDS[type(node)]


_KINDS: Final[dict[type, str]] = {
    dict: "object",
    list: "array",
    str: "str",
    int: "int",
    float: "float",
    bool: "bool",
    type(None): "null",
}
_DECIMAL: Final = re.compile(r"-?\d{1,17}(?:\.\d{1,17})?", re.ASCII)
_CHECKS: Final[dict[str, Callable[[Any, FieldType, str, re.Pattern[str] | None], Any]]] = {
    "string": _string,
    "integer": _integer,
    "decimal": decimal_of,
    "boolean": _boolean,
}
