"""Quality rules: data that users edit, a TOML file of `[[rule]]` tables (`pipelines/quality/shop.toml` is one)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from core.declaration.pipeline import Pipeline
from core.errors import ConfigurationError

HOURS_A_DAY: Final = 24

Word = Annotated[str, Meta(min_length=1, max_length=80)]
Words = Annotated[tuple[Word, ...], Meta(min_length=1)]
Share = Annotated[float, Meta(ge=0, le=1)]
Number = int | float
Severity = Literal["error", "warning"]
#: `number` is `int` or `float`; a boolean is none of them.
TypeName = Literal["int", "float", "number", "string", "bool"]


class _Base(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What each rule has. `severity`: a failing `error` stops the publication."""

    name: Word
    table: Word
    severity: Severity


class NullShare(_Base, frozen=True, kw_only=True, tag="null_share"):
    """At most `max` of the rows have no value."""

    column: Word
    max: Share


class OfType(_Base, frozen=True, kw_only=True, tag="type"):
    """Values have a type; at most `allow` of the rows another one. Nulls are not looked at."""

    column: Word
    type: TypeName
    allow: Share = 0.0


class Range(_Base, frozen=True, kw_only=True, tag="range"):
    """Numbers are from `min` to `max`, both included; at most `allow` of the rows are not. Others are not looked at."""

    column: Word
    min: Number | None = None
    max: Number | None = None
    allow: Share = 0.0

    def __post_init__(self) -> None:
        """Raises `ValueError` for a range without bounds or without values."""
        _check_bounds(self.min, self.max)


class Unique(_Base, frozen=True, kw_only=True, tag="unique"):
    """No two rows have the same values; at most `allow` of the rows do. Rows with a null are not looked at."""

    columns: Words
    allow: Share = 0.0


class Freshness(_Base, frozen=True, kw_only=True, tag="freshness"):
    """The newest row is at most `max_age_s` old. `column`: milliseconds since 1970."""

    column: Word
    max_age_s: Annotated[float, Meta(ge=0)]


class Volume(_Base, frozen=True, kw_only=True, tag="volume"):
    """How much there is: the sum of `column`, or the number of rows without one, is from `min` to `max`.

    With `profile`, the amount of each hour of the day (UTC), each row of the table is an hour
    (column `hour`, hours since 1970) and `column` is within `tolerance` (a share) of the profile.
    The first and the last hour may be incomplete and are left out.
    """

    column: Word | None = None
    min: Number | None = None
    max: Number | None = None
    profile: tuple[Annotated[float, Meta(ge=0)], ...] | None = None
    tolerance: Share | None = None

    def __post_init__(self) -> None:
        """Raises `ValueError` where bounds and profile contradict each other."""
        if self.profile is None:
            if self.tolerance is not None:
                raise ValueError("`tolerance` needs a `profile`")
            _check_bounds(self.min, self.max)
        elif len(self.profile) != HOURS_A_DAY:
            raise ValueError(f"`profile` has {len(self.profile)} numbers; give {HOURS_A_DAY}, one for each hour")
        elif self.column is None or self.tolerance is None or (self.min, self.max) != (None, None):
            raise ValueError("a `profile` needs `column` and `tolerance`, and no `min` or `max`")


class Reference(_Base, frozen=True, kw_only=True, tag="reference"):
    """At least `min` of the rows have a value of `column` that the table `to` has in `to_column` (else the same)."""

    column: Word
    to: Word
    min: Share
    to_column: Word | None = None


Rule = NullShare | OfType | Range | Unique | Freshness | Volume | Reference
KINDS: Final = tuple(
    str(rule.__struct_config__.tag) for rule in (NullShare, OfType, Range, Unique, Freshness, Volume, Reference)
)


def read_rules(path: Path) -> tuple[Rule, ...]:
    """The rules of a file, in its order. Raises `ConfigurationError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"quality rules {path}: cannot be read ({error.strerror}); name a readable file"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"quality rules {path}: not UTF-8 text; save it as UTF-8") from error
    return parse_rules(text, str(path))


def usual_rules(pipeline: Pipeline) -> tuple[Rule, ...]:
    """The rules of a pipeline for which nobody wrote any."""
    places = ("topic", "partition", "offset")
    return (
        *(
            Unique(name=f"each offset is archived once ({topic})", table=topic, columns=places, severity="error")
            for topic in pipeline.topics
        ),
        Range(name="most records are accepted", table="totals", column="rejected_share", max=0.5, severity="error"),
        Range(name="few records are rejected", table="totals", column="rejected_share", max=0.1, severity="warning"),
        Range(name="few records are duplicates", table="totals", column="duplicate_share", max=0.1, severity="warning"),
        Volume(name="something was accepted", table="totals", column="accepted", min=1, severity="warning"),
    )


def parse_rules(text: str, source: str) -> tuple[Rule, ...]:
    """The rules of TOML text; `source` names it in errors. Raises `ConfigurationError`."""
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigurationError(f"quality rules {source}: not TOML: {error}; correct that line") from error
    rows = document.get("rule")
    if set(document) != {"rule"} or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ConfigurationError(f"quality rules {source}: has to be a list of [[rule]] tables and nothing else")
    rules: dict[str, Rule] = {}
    for number, row in enumerate(rows, 1):
        rule = _rule(row, f"quality rules {source}: rule {number} ({row.get('name', 'no name')!a:.80})")
        if rule.name in rules:
            raise ConfigurationError(f"quality rules {source}: two rules are named {rule.name!a}; rename one")
        rules[rule.name] = rule
    return tuple(rules.values())


def _rule(row: Mapping[str, Any], place: str) -> Rule:
    if row.get("kind") not in KINDS:
        raise ConfigurationError(f"{place}: kind {row.get('kind')!a:.80} is none; use one of {', '.join(KINDS)}")
    if any(value != value for value in row.values()):  # noqa: PLR0124 - what NaN alone does
        raise ConfigurationError(f"{place}: nan compares with nothing; give a number")
    try:
        # TOML keeps int and float apart; a share of 1 is meant as 1.0
        rule: Rule = msgspec.convert(row, Rule)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{place}: {error}; correct it") from error
    return rule


def _check_bounds(low: Number | None, high: Number | None) -> None:
    if low is None and high is None:
        raise ValueError("give `min`, `max` or both")
    if low is not None and high is not None and low > high:
        raise ValueError(f"`min` {low} is above `max` {high}")
