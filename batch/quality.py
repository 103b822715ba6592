"""Checks quality rules on frames. What is about single rows is pandera's, the rest is small and here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import pandas as pd
import pandera.pandas as pa
from pandas.api import types

from batch.quality_report import Check, Report
from batch.quality_rules import (
    HOURS_A_DAY,
    Freshness,
    NullShare,
    Number,
    OfType,
    Range,
    Reference,
    Rule,
    TypeName,
    Unique,
    Volume,
)

_EXAMPLES: Final = 3
_EXAMPLE_WIDTH: Final = 40
_LARGEST: Final = 1 << 63


class _Finding(NamedTuple):
    passed: bool
    observed: str
    expected: str
    failing: int = 0
    examples: tuple[str, ...] = ()


def check(rules: Iterable[Rule], frames: Mapping[str, pd.DataFrame], *, now_ms: int) -> Report:
    """Checks each rule. `frames`: by table name, values hashable; `now_ms`: since 1970.

    A rule whose table or column is not there fails. Row rules pass on a table without rows.
    """
    return Report(now_ms, tuple(_check(rule, frames, now_ms) for rule in rules))


def _check(rule: Rule, frames: Mapping[str, pd.DataFrame], now_ms: int) -> Check:
    columns = rule.columns if isinstance(rule, Unique) else () if rule.column is None else (rule.column,)
    wanted: list[tuple[str, str | None]] = [(rule.table, column) for column in columns or (None,)]
    if isinstance(rule, Reference):
        wanted.append((rule.to, rule.to_column or rule.column))
    if isinstance(rule, Volume) and rule.profile:
        wanted.append((rule.table, "hour"))
    absent = next(filter(None, (_absent(frames, *place) for place in wanted)), None)
    finding = _find(rule, frames, now_ms) if absent is None else _Finding(False, absent, "it is there", 1)
    return Check(
        rule=rule.name,
        table=rule.table,
        column=", ".join(columns),
        kind=str(rule.__struct_config__.tag),
        severity=rule.severity,
        **finding._asdict(),
    )


def _absent(frames: Mapping[str, pd.DataFrame], table: str, column: str | None) -> str | None:
    if table not in frames:
        return f"no table {table}"
    return f"no column {table}.{column}" if column is not None and column not in frames[table] else None


def _find(rule: Rule, frames: Mapping[str, pd.DataFrame], now_ms: int) -> _Finding:
    frame = frames[rule.table]
    match rule:
        case Freshness():
            return _freshness(rule, frame, now_ms)
        case Volume():
            return _volume(rule, frame) if rule.profile is None else _profile(rule, frame, rule.profile)
        case Reference():
            return _reference(rule, frame, frames[rule.to])
    return _row_finding(rule, frame)


def _row_finding(rule: NullShare | OfType | Range | Unique, frame: pd.DataFrame) -> _Finding:
    match rule:
        case NullShare():
            column = pa.Column(nullable=False)
            return _rows(frame, (rule.column,), _schema(rule.column, column), rule.max, "null", "no nulls")
        case OfType():
            return _of_type(rule, frame)
        case Range():
            low, high = rule.min, rule.max
            inside = pa.Check(_inside(low, high), element_wise=True)
            column = pa.Column(nullable=True, checks=inside)
            return _rows(frame, (rule.column,), _schema(rule.column, column), rule.allow, "outside", _span(low, high))
        case Unique():
            known = frame.dropna(subset=list(rule.columns))
            schema = pa.DataFrameSchema(unique=list(rule.columns))
            return _rows(known, rule.columns, schema, rule.allow, "repeated", "unique")


def _schema(name: str, column: pa.Column) -> pa.DataFrameSchema:
    return pa.DataFrameSchema({name: column})


def _rows(
    frame: pd.DataFrame, columns: tuple[str, ...], schema: pa.DataFrameSchema, allow: float, what: str, expected: str
) -> _Finding:
    """What pandera says about single rows; `allow`: the share of them that may fail."""
    frame = frame[list(columns)].reset_index(drop=True)
    expected += f", {_percent(allow)} may fail" if allow else ""
    if frame.empty:
        return _Finding(True, "no rows", expected)
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        places = errors.failure_cases["index"]
    else:
        return _Finding(True, f"none of {len(frame):,} {what}", expected)
    # no index: the column fails as a whole
    failing = frame if places.isna().any() else frame.loc[sorted(set(places))]
    passed = len(failing) <= allow * len(frame)
    observed = f"{len(failing):,} of {len(frame):,} {what} ({_percent(len(failing) / len(frame))})"
    return _Finding(passed, observed, expected, len(failing), _examples(failing.dropna(how="all")))


def _of_type(rule: OfType, frame: pd.DataFrame) -> _Finding:
    dtype = frame[rule.column].dtype
    if types.is_object_dtype(dtype):
        fits = pa.Check(_VALUE_IS[rule.type], element_wise=True)
        schema = _schema(rule.column, pa.Column(nullable=True, checks=fits))
        return _rows(frame, (rule.column,), schema, rule.allow, "of another type", rule.type)
    fits = pa.Check(lambda series: bool(_DTYPE_IS[rule.type](series.dtype)))
    schema = _schema(rule.column, pa.Column(nullable=True, checks=fits))
    found = _rows(frame, (rule.column,), schema, rule.allow, "of another type", rule.type)
    return found._replace(observed=f"column of {dtype}")


def _freshness(rule: Freshness, frame: pd.DataFrame, now_ms: int) -> _Finding:
    expected = f"at most {rule.max_age_s:,g} s old"
    newest = _number(frame[rule.column]).max()
    if pd.isna(newest):
        return _Finding(False, "no rows with a time", expected, 1)
    age_s = (now_ms - float(newest)) / 1000
    passed = age_s <= rule.max_age_s
    return _Finding(passed, f"newest is {age_s:,.0f} s old", expected, int(not passed))


def _volume(rule: Volume, frame: pd.DataFrame) -> _Finding:
    # of Python's integers: what was sent may be so large that the sum of two goes around in 64 bits
    amount = len(frame) if rule.column is None else sum(_number(frame[rule.column]).dropna().tolist())
    passed = _inside(rule.min, rule.max)(amount)
    return _Finding(
        passed, f"{amount:,}" if rule.column else f"{amount:,} rows", _span(rule.min, rule.max), int(not passed)
    )


def _profile(rule: Volume, frame: pd.DataFrame, profile: tuple[float, ...]) -> _Finding:
    tolerance = rule.tolerance or 0.0
    expected = f"within {_percent(tolerance)} of the profile"
    amounts = _number(frame[rule.column]).groupby(frame["hour"]).sum()
    first, last = frame["hour"].min(), frame["hour"].max()
    if frame.empty or last - first < 2:  # noqa: PLR2004 - the first and the last are no full hours
        return _Finding(True, "no full hour", expected)
    # an hour without a row is an hour of nothing
    full = amounts.reindex(range(int(first) + 1, int(last)), fill_value=0)
    wanted = pd.Series([profile[hour % HOURS_A_DAY] for hour in full.index], full.index)
    off = full[(full - wanted).abs() > tolerance * wanted]
    examples = tuple(f"hour {hour % HOURS_A_DAY}: {amount:,}" for hour, amount in off.head(_EXAMPLES).items())
    return _Finding(off.empty, f"{len(off):,} of {len(full):,} hours off", expected, len(off), examples)


def _reference(rule: Reference, frame: pd.DataFrame, other: pd.DataFrame) -> _Finding:
    column = rule.to_column or rule.column
    expected = f"at least {_percent(rule.min)} in {rule.to}.{column}"
    known = frame[[rule.column]].dropna()
    if known.empty:
        return _Finding(True, "no rows", expected)
    lost = known[~known[rule.column].isin(set(other[column].dropna()))]
    found = 1 - len(lost) / len(known)
    observed = f"{len(known) - len(lost):,} of {len(known):,} found ({_percent(found)})"
    return _Finding(found >= rule.min, observed, expected, len(lost), _examples(lost))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


#: For columns of Python objects, value by value.
_VALUE_IS: Final[Mapping[TypeName, Callable[[Any], bool]]] = {
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": lambda value: isinstance(value, float),
    "number": _is_number,
    "string": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
}
#: For columns of one type.
_DTYPE_IS: Final[Mapping[TypeName, Callable[[Any], bool]]] = {
    "int": types.is_integer_dtype,
    "float": types.is_float_dtype,
    "number": lambda dtype: types.is_numeric_dtype(dtype) and not types.is_bool_dtype(dtype),
    "string": types.is_string_dtype,
    "bool": types.is_bool_dtype,
}


def _inside(low: Number | None, high: Number | None) -> Callable[[Any], bool]:
    """Says whether a value lies within; what is no number is another rule's business."""

    def inside(value: Any) -> bool:
        return (
            types.is_bool(value)
            or not types.is_number(value)
            or ((low is None or bool(value >= low)) and (high is None or bool(value <= high)))
        )

    return inside


def _number(series: pd.Series) -> pd.Series:
    """What is no number of 64 bits becomes null."""
    if types.is_object_dtype(series.dtype):
        series = series.map(lambda value: value if _is_number(value) and abs(value) < _LARGEST else None)
    return pd.to_numeric(series, errors="coerce")


def _span(low: Number | None, high: Number | None) -> str:
    if low is None:
        return f"at most {high:,}"
    return f"at least {low:,}" if high is None else f"{low:,} to {high:,}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _examples(failing: pd.DataFrame) -> tuple[str, ...]:
    texts = (" / ".join(map(_example, row)) for row in failing.itertuples(index=False, name=None))
    return tuple(dict.fromkeys(text for text, _ in zip(texts, range(100), strict=False)))[:_EXAMPLES]


def _example(value: Any) -> str:
    text = ascii(value[:_EXAMPLE_WIDTH]) if isinstance(value, str | bytes) else ascii(value)
    return text if len(text) <= _EXAMPLE_WIDTH else f"{text[: _EXAMPLE_WIDTH - 3]}..."
