"""Walking an expression gives what the kernel's generated code gives."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.declaration.evaluation import value_of
from core.declaration.expression import Operand, parse
from core.kernel.python_source import function_of

OPERANDS = {
    "n": Operand("integer", True, -9, 9),
    "m": Operand("integer", False, -9, 9),
    "t": Operand("text", True),
    "b": Operand("boolean", True),
}
NUMBERS, TEXTS, FLAGS = st.integers(-9, 9), st.sampled_from(["x", "y"]), st.booleans()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("n * m - 3 + n", "integer"),
        ("n < m or t == 'x' and not b", "boolean"),
        ("not (n >= 2) and (b or m != -1)", "boolean"),
        ("n <= 1 or n > 1", "boolean"),
        ("t != 'x'", "boolean"),
    ],
)
@given(n=st.none() | NUMBERS, m=NUMBERS, t=st.none() | TEXTS, b=st.none() | FLAGS)
def test_both_agree(text: str, kind: Any, n: int | None, m: int, t: str | None, b: bool | None) -> None:
    expression, values = parse(text, OPERANDS, kind), {"n": n, "m": m, "t": t, "b": b}
    assert value_of(expression, values) == function_of(expression)(values)
