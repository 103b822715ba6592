"""Quality rules on frames: each kind passing and failing, and the course module's sample."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

from batch.quality import check
from batch.quality_report import Check, Report
from batch.quality_rules import parse_rules, read_rules
from tests.support.shop import SHOP, SHOP_RULES

NOW = 1_800_000_000_000
COURSE = """
[[rule]]
name = "user_id is there"
kind = "null_share"
table = "raw"
column = "user_id"
max = 0
severity = "error"

[[rule]]
name = "age is there"
kind = "null_share"
table = "raw"
column = "age"
max = 0
severity = "error"

[[rule]]
name = "revenue is there"
kind = "null_share"
table = "raw"
column = "revenue"
max = 0
severity = "error"

[[rule]]
name = "user_id is whole"
kind = "type"
table = "raw"
column = "user_id"
type = "int"
severity = "warning"

[[rule]]
name = "age is whole"
kind = "type"
table = "raw"
column = "age"
type = "int"
severity = "warning"

[[rule]]
name = "revenue is a float"
kind = "type"
table = "raw"
column = "revenue"
type = "float"
severity = "warning"

[[rule]]
name = "age is possible"
kind = "range"
table = "raw"
column = "age"
min = 0
severity = "error"

[[rule]]
name = "revenue is possible"
kind = "range"
table = "raw"
column = "revenue"
min = 0
severity = "error"
"""


def course_report() -> Report:
    sample = pd.DataFrame(
        {
            "user_id": [1, 2, 3, None, 5],
            "age": [25, 30, -5, 40, 150],
            "revenue": [100.5, 200, 150, 300, 250],
        }
    )
    return check(parse_rules(COURSE, "course.toml"), {"raw": sample}, now_ms=NOW)


def found(frame: dict[str, Any] | pd.DataFrame, rule: str, **others: dict[str, Any]) -> Check:
    text = f'[[rule]]\nname = "it"\ntable = "t"\nseverity = "error"\n{rule}'
    frames = {name: pd.DataFrame(columns) for name, columns in {"t": frame, **others}.items()}
    (one,) = check(parse_rules(text, "test"), frames, now_ms=NOW).checks
    return one


def test_the_course_sample_passes_five_of_eight() -> None:
    report = course_report()
    assert (report.passed, report.total, report.share) == (5, 8, 0.625)
    assert [c.rule for c in report.checks if not c.passed] == [
        "user_id is there",
        "user_id is whole",
        "age is possible",
    ]
    assert [c.rule for c in report.blocking] == ["user_id is there", "age is possible"]
    assert report.blocking[1].text() == (
        "age is possible (range of raw.age): 1 of 5 outside (20 %), expected at least 0, such as -5"
    )


def test_a_report_survives_json_and_becomes_a_frame() -> None:
    report = course_report()
    document = json.loads(json.dumps(report.as_json()))
    assert document == report.as_json()
    assert (document["passed"], document["total"], document["share"]) == (5, 8, 0.625)
    assert Report.from_json(document) == report
    frame = report.frame()
    assert len(frame) == 8
    assert list(frame.columns) == list(Check.__struct_fields__)
    assert frame["passed"].sum() == 5


def test_what_is_no_report_is_refused() -> None:
    with pytest.raises(ValueError, match="not a quality report"):
        Report.from_json({"checks": 3})


def test_no_rules_forbid_nothing() -> None:
    report = check((), {}, now_ms=NOW)
    assert (report.total, report.share, report.blocking) == (0, 1.0, [])
    assert list(report.frame().columns) == list(Check.__struct_fields__)


SALES = {"k": ["a", "b", None, "d"]}
OBJECTS = {"x": pd.Series([1, "2", None, True, 2.5], dtype="object")}


@pytest.mark.parametrize(
    ("frame", "rule", "passed", "failing"),
    [
        ({"x": [1, None, 3, 4]}, 'kind = "null_share"\ncolumn = "x"\nmax = 0.25', True, 1),
        ({"x": [1, None, None, 4]}, 'kind = "null_share"\ncolumn = "x"\nmax = 0.25', False, 2),
        ({"x": ["a", None]}, 'kind = "type"\ncolumn = "x"\ntype = "string"', True, 0),
        ({"x": [True]}, 'kind = "type"\ncolumn = "x"\ntype = "number"', False, 1),
        ({"x": [1.0, 2.0]}, 'kind = "type"\ncolumn = "x"\ntype = "int"', False, 2),
        (OBJECTS, 'kind = "type"\ncolumn = "x"\ntype = "int"', False, 3),
        (OBJECTS, 'kind = "type"\ncolumn = "x"\ntype = "number"\nallow = 0.4', True, 2),
        ({"x": [0, 10]}, 'kind = "range"\ncolumn = "x"\nmin = 0\nmax = 10', True, 0),
        ({"x": [-1, 11, 5]}, 'kind = "range"\ncolumn = "x"\nmin = 0\nmax = 10', False, 2),
        (OBJECTS, 'kind = "range"\ncolumn = "x"\nmax = 2', False, 1),
        ({"x": pd.Series([10**400, 1], dtype="object")}, 'kind = "range"\ncolumn = "x"\nmax = 2', False, 1),
        ({"x": [1, 1], "y": [1, 2]}, 'kind = "unique"\ncolumns = ["x", "y"]', True, 0),
        ({"x": [1, 1, 2], "y": [1, 1, 1]}, 'kind = "unique"\ncolumns = ["x", "y"]', False, 2),
        ({"x": ["a", None, None]}, 'kind = "unique"\ncolumns = ["x"]', True, 0),
        ({"x": [NOW - 60_000, 5]}, 'kind = "freshness"\ncolumn = "x"\nmax_age_s = 60', True, 0),
        ({"x": [NOW - 60_001, 5]}, 'kind = "freshness"\ncolumn = "x"\nmax_age_s = 60', False, 1),
        ({"x": []}, 'kind = "freshness"\ncolumn = "x"\nmax_age_s = 60', False, 1),
        ({"x": [3, 4]}, 'kind = "volume"\nmin = 2\nmax = 2', True, 0),
        ({"x": [3, 4]}, 'kind = "volume"\ncolumn = "x"\nmin = 8', False, 1),
        (SALES, 'kind = "reference"\ncolumn = "k"\nto = "other"\nmin = 0.66', True, 1),
        (SALES, 'kind = "reference"\ncolumn = "k"\nto = "other"\nmin = 0.67', False, 1),
        (SALES, 'kind = "reference"\ncolumn = "k"\nto = "other"\nto_column = "z"\nmin = 0.1', False, 3),
    ],
)
def test_each_kind(frame: dict[str, Any], rule: str, passed: bool, failing: int) -> None:
    one = found(frame, rule, other={"k": ["a", "b", "c"], "z": ["x", "y", None]})
    assert (one.passed, one.failing) == (passed, failing)
    assert one.observed
    assert one.expected


def hours(*amounts: int) -> dict[str, Any]:
    return {"hour": range(24, 24 + len(amounts)), "n": amounts}


PROFILE = f'kind = "volume"\ncolumn = "n"\nprofile = {[100 + i for i in range(24)]}\ntolerance = 0.1'


def test_full_hours_are_compared_with_the_profile() -> None:
    assert found(hours(1, 105, 98, 1), PROFILE).passed
    one = found(hours(1, 112, 90, 103, 1), PROFILE)
    assert (one.passed, one.failing, one.examples) == (False, 2, ("hour 1: 112", "hour 2: 90"))


def test_an_hour_without_rows_is_an_hour_of_nothing() -> None:
    one = found({"hour": [24, 25, 27], "n": [100, 101, 103]}, PROFILE)
    assert one.examples == ("hour 2: 0",)


def test_no_full_hour_is_no_failure() -> None:
    assert found(hours(1, 2), PROFILE).passed
    assert found({"hour": [], "n": []}, PROFILE).passed


@pytest.mark.parametrize(
    ("rule", "observed"),
    [
        ('kind = "range"\ncolumn = "y"\nmin = 0', "no column t.y"),
        ('kind = "unique"\ncolumns = ["x", "y"]', "no column t.y"),
        ('kind = "reference"\ncolumn = "x"\nto = "gone"\nmin = 1', "no table gone"),
        (PROFILE.replace('"n"', '"x"'), "no column t.hour"),
    ],
)
def test_what_is_not_there_fails(rule: str, observed: str) -> None:
    one = found({"x": [1]}, rule)
    assert (one.passed, one.observed) == (False, observed)


@pytest.mark.parametrize("kind", ['"null_share"\nmax = 0', '"type"\ntype = "int"', '"range"\nmin = 0'])
def test_row_rules_pass_without_rows(kind: str) -> None:
    assert found({"x": []}, f'column = "x"\nkind = {kind}').passed


def test_hostile_values_are_harmless_in_examples() -> None:
    hostile = ["\x1b[31mred\n", "\u202egnp", "x" * 10_000, b"{\x00}", "\x1b[31mred\n", "more"]
    one = found({"x": pd.Series(hostile, dtype="object")}, 'kind = "type"\ncolumn = "x"\ntype = "int"')
    assert one.failing == 6
    assert len(one.examples) == 3
    assert one.examples[0] == r"'\x1b[31mred\n'"
    assert all(len(text) <= 40 and text.isascii() and text.isprintable() for text in one.examples)


@pytest.mark.parametrize("kind", ['"freshness"\nmax_age_s = 1', '"volume"\nmin = 3'])
def test_what_is_no_number_does_not_count(kind: str) -> None:
    values = pd.Series([10**400, "5", b"x", True, None, float("nan")], dtype="object")
    one = found({"x": values}, f'column = "x"\nkind = {kind}')
    assert not one.passed


def test_the_default_rules_name_columns_that_exist() -> None:
    from batch.quality_frames import hours_frame, sample_frames, totals_frame

    frames = {**sample_frames([], SHOP), "hours": hours_frame({}, SHOP), "totals": totals_frame({})}
    report = check(read_rules(SHOP_RULES), frames, now_ms=NOW)
    assert not [c.text() for c in report.checks if c.observed.startswith(("no column", "no table"))]
    assert not report.blocking
