"""Repair rules: data that users edit, a TOML file of `[[fix]]` tables (`repair_rules.toml`)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from core.declaration.error import nearest
from core.declaration.pipeline import Pipeline
from core.errors import ConfigurationError

#: A documented file, to start one's own from.
EXAMPLE: Final = Path(__file__).with_name("repair_rules.toml")

Word = Annotated[str, Meta(min_length=1, max_length=200)]
#: The place of a field in a document: `time`, `data.user_id`.
Place = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$", max_length=200)]
Scalar = str | int | bool
Topic = Word


class _Step(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do"):
    """One change of a document."""


class Set(_Step, frozen=True, kw_only=True, tag="set"):
    """The field gets a value, whatever it had."""

    field: Place
    value: Scalar


class Default(_Step, frozen=True, kw_only=True, tag="default"):
    """The field gets a value where it is missing or null."""

    field: Place
    value: Scalar


class Rename(_Step, frozen=True, kw_only=True, tag="rename"):
    """The field gets another place."""

    field: Place
    to: Place


class Cast(_Step, frozen=True, kw_only=True, tag="cast"):
    """A number to text, or text or a number to a whole number (`times`: multiplied first, which must be exact)."""

    field: Place
    to: Literal["text", "whole"]
    times: Annotated[int, Meta(ge=1, le=1_000_000)] = 1


class Time(_Step, frozen=True, kw_only=True, tag="time"):
    """Text of a `strptime` form, or milliseconds since 1970, to a time with offset; without one it is UTC."""

    field: Place = "time"
    form: Word


class Replace(_Step, frozen=True, kw_only=True, tag="replace"):
    """Texts become others by a table; a text that is not in it is not repaired."""

    field: Place
    table: Annotated[dict[str, str], Meta(min_length=1)]


class Letters(_Step, frozen=True, kw_only=True, tag="letters"):
    """Text in upper or lower letters, or without blanks around it."""

    field: Place
    to: Literal["upper", "lower", "stripped"]


class Shorten(_Step, frozen=True, kw_only=True, tag="shorten"):
    """Text of at most so many characters."""

    field: Place
    to: Annotated[int, Meta(ge=1, le=2048)]


class Clamp(_Step, frozen=True, kw_only=True, tag="clamp"):
    """A whole number within a range."""

    field: Place
    min: int
    max: int

    def __post_init__(self) -> None:
        """Raises `ValueError` for an empty range."""
        if self.min > self.max:
            raise ValueError(f"`min` {self.min} is above `max` {self.max}")


class Convert(_Step, frozen=True, kw_only=True, tag="convert"):
    """Cents of one currency into another at a rate, rounded half to even."""

    field: Place = "data.unit_price_cents"
    currency: Place = "data.currency"
    source: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    target: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    rate: Word

    def __post_init__(self) -> None:
        """Raises `ValueError` for a rate that is none."""
        try:
            sound = Decimal("1e-6") <= Decimal(self.rate) <= Decimal("1e6")
        except InvalidOperation:
            sound = False
        if not sound:
            raise ValueError(f'`rate` {self.rate!r} is no rate; write it as text, like "0.92"')


class MoveTo(_Step, frozen=True, kw_only=True, tag="move"):
    """The record goes to another topic."""

    topic: Topic


Step = Set | Default | Rename | Cast | Time | Replace | Letters | Shorten | Clamp | Convert | MoveTo


class Fix(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which letters, and what is done to them. `detail`: part of what the letter's detail says."""

    name: Word
    reason: Word
    steps: Annotated[tuple[Step, ...], Meta(min_length=1)]
    topic: Topic | None = None
    detail: str = ""

    def fits(self, topic: str, reason: str, detail: str) -> bool:
        """Whether it is for such a letter."""
        return self.reason == reason and self.topic in (None, topic) and self.detail in detail


def read_repair_rules(path: Path, pipeline: Pipeline) -> tuple[Fix, ...]:
    """The fixes of a file, in its order, for the streams of a pipeline. Raises `ConfigurationError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"repair rules {path}: cannot be read ({error.strerror}); name a readable file, {EXAMPLE.name} is an example"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"repair rules {path}: not UTF-8 text; save it as UTF-8") from error
    return parse_repair_rules(text, str(path), pipeline)


def parse_repair_rules(text: str, source: str, pipeline: Pipeline) -> tuple[Fix, ...]:
    """The fixes of TOML text; `source` names it in errors. Raises `ConfigurationError`."""
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigurationError(f"repair rules {source}: not TOML: {error}; correct that line") from error
    rows = document.get("fix")
    if set(document) != {"fix"} or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ConfigurationError(f"repair rules {source}: has to be a list of [[fix]] tables and nothing else")
    fixes: dict[str, Fix] = {}
    for number, row in enumerate(rows, 1):
        fix = _fix(row, f"repair rules {source}: fix {number} ({row.get('name', 'no name')!a:.80})", pipeline)
        if fix.name in fixes:
            raise ConfigurationError(f"repair rules {source}: two fixes are named {fix.name!a}; rename one")
        fixes[fix.name] = fix
    return tuple(fixes.values())


def _fix(row: Mapping[str, Any], place: str, pipeline: Pipeline) -> Fix:
    try:
        if isinstance(reason := row.get("reason"), str):
            _check(reason, pipeline.reasons, "$.reason")
        fix = msgspec.convert(row, Fix)
        topics = {"$.topic": fix.topic} | {
            f"$.steps[{number}].topic": step.topic for number, step in enumerate(fix.steps) if isinstance(step, MoveTo)
        }
        for where, topic in topics.items():
            if topic is not None:
                _check(topic, pipeline.topics, where)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{place}: {error}; see {EXAMPLE.name} for what a fix may say") from error
    return fix


def _check(found: str, known: Sequence[str], where: str) -> None:
    """Raises `msgspec.ValidationError` as its own types do."""
    if found not in known:
        raise msgspec.ValidationError(f"Invalid enum value {found!r} - at `{where}`: {nearest(found, known)}")
