"""Expressions: what is written is what is meant, and what may leave 64 bits is refused."""

from __future__ import annotations

import pytest

from core.declaration.expression import LARGEST, ExpressionError, Operand, parse

FIELDS = {
    "n": Operand("integer", low=-5, high=10),
    "m": Operand("integer", nullable=True, low=0, high=3),
    "wide": Operand("integer"),
    "t": Operand("text"),
    "b": Operand("boolean"),
}


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [("n", -5, 10), ("n + m", -5, 13), ("n - m", -8, 10), ("n * m", -15, 30), ("n * n", -50, 100), ("-7", -7, -7)],
)
def test_limits_follow_from_those_of_the_fields(text: str, low: int, high: int) -> None:
    root = parse(text, FIELDS, "integer").root
    assert (root.low, root.high) == (low, high)


@pytest.mark.parametrize("text", ["wide + 1", "wide - n", "wide * 2", "wide * wide", str(LARGEST + 1)])
def test_what_64_bits_may_not_hold_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError, match="64 bits"):
        parse(text, FIELDS, "integer")


@pytest.mark.parametrize(
    "text",
    ["n if b else m", "n ** 2", "n // 2", "n < m < 3", "f(n)", "n.real", "n[0]", "lambda: n", "[n]", "None", "True",
     "n := 1", "f'{t}'", "1.5", "b'x'", "n & m", "~n", "t in t", "n is m", "*n", "", "n\n+", "-b", "not n", "b and n"],
)  # fmt: skip
def test_nothing_else_can_be_written(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text, FIELDS, "integer")


def test_what_an_absent_field_reaches_may_be_null() -> None:
    assert parse("m > 1 and b", FIELDS, "boolean").root.nullable
    assert not parse("n > 1 and b", FIELDS, "boolean").root.nullable
    assert parse("n > 1 and not b or t == 'x'", FIELDS, "boolean").names == {"n", "b", "t"}


def test_depth_is_bounded() -> None:
    with pytest.raises(ExpressionError, match="nested"):
        parse("(" * 400 + "n" + ")" * 400, FIELDS, "integer")
    with pytest.raises(ExpressionError, match="nested"):
        parse("not " * 200 + "b", FIELDS, "boolean")
