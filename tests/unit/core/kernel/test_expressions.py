"""An expression has one value, whichever engine takes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch import expression_sql
from core.declaration.expression import Expression, ExpressionError, Operand, parse
from core.kernel.python_source import function_of

FIELDS = {
    "n": Operand("integer", low=-1_000, high=1_000),
    "m": Operand("integer", nullable=True, low=-1_000, high=1_000),
    "t": Operand("text"),
    "u": Operand("text", nullable=True),
    "b": Operand("boolean"),
    "c": Operand("boolean", nullable=True),
}
TEXTS = ["", "a", "it's", 'say "x"', "é", "--", "\\"]
NUMBERS = st.sampled_from(["n", "m", "0", "-1", "7"])


def joined(inner: st.SearchStrategy[str], signs: list[str]) -> st.SearchStrategy[str]:
    return st.builds(lambda one, sign, other: f"({one} {sign} {other})", inner, st.sampled_from(signs), inner)


INTEGERS = st.recursive(NUMBERS, lambda inner: joined(inner, ["+", "-", "*"]), max_leaves=4)
COMPARED = joined(INTEGERS, ["==", "!=", "<", "<=", ">", ">="]) | joined(
    st.sampled_from(["t", "u", *map(repr, TEXTS)]), ["==", "!="]
)
BOOLEANS = st.recursive(
    COMPARED | st.sampled_from(["b", "c"]),
    lambda inner: joined(inner, ["and", "or"]) | inner.map("(not {})".format),
    max_leaves=6,
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "n": st.integers(-1_000, 1_000),
            "m": st.none() | st.integers(-3, 3),
            "t": st.sampled_from(TEXTS),
            "u": st.none() | st.sampled_from(TEXTS),
            "b": st.booleans(),
            "c": st.none() | st.booleans(),
        }
    ),
    min_size=1,
    max_size=8,
)


SCHEMA = pa.schema(
    [("n", pa.int64()), ("m", pa.int64()), ("t", pa.string()), ("u", pa.string()), ("b", pa.bool_()), ("c", pa.bool_())]
)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("set threads = 1")
        yield opened


def by_sql(connection: duckdb.DuckDBPyConnection, expression: Expression, rows: list[dict[str, Any]]) -> list[Any]:
    connection.register("events", pa.Table.from_pylist(rows, SCHEMA))
    sql = expression_sql.source_of(expression.root, expression_sql.quoted)
    return [found for (found,) in connection.execute(f"select {sql} from events").fetchall()]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(st.tuples(INTEGERS, st.just("integer")), st.tuples(BOOLEANS, st.just("boolean"))), ROWS)
def test_python_and_sql_agree(
    connection: duckdb.DuckDBPyConnection, written: tuple[str, Any], rows: list[dict[str, Any]]
) -> None:
    text, kind = written
    try:
        expression = parse(text, FIELDS, kind)
    except ExpressionError:
        return
    value_of = function_of(expression)
    found = [value_of(row) for row in rows]
    assert found == by_sql(connection, expression, rows), text
    if not expression.root.nullable:
        assert None not in found
    if kind == "integer":
        assert all(expression.root.low <= number <= expression.root.high for number in found if number is not None)


def test_nothing_is_called_and_nothing_is_in_reach(tmp_path: Path) -> None:
    value_of = function_of(parse(f"t == {str(tmp_path)!r}", FIELDS, "boolean"))
    assert value_of({"t": str(tmp_path)}) is True
    assert value_of.__globals__["__builtins__"] == {}
