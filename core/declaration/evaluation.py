"""The value of an expression, by walking its nodes: slow, and apart from the kernel's generated code."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from core.declaration.expression import Constant, Expression, Name, Node

_SIGNS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def value_of(expression: Expression, values: Mapping[str, Any]) -> Any:
    """Its value, None for null (three truth values, as in SQL).

    Args:
        expression: Of a declaration.
        values: By field; None where one is absent.
    """
    return _value(expression.root, values)


def _value(node: Node, values: Mapping[str, Any]) -> Any:
    if isinstance(node, Name):
        return values[node.name]
    if isinstance(node, Constant):
        return node.value
    parts = [_value(part, values) for part in node.parts]
    if node.sign in ("and", "or"):
        decides = node.sign == "or"
        return decides if decides in parts else None if None in parts else not decides
    if None in parts:
        return None
    return not parts[0] if node.sign == "not" else _SIGNS[node.sign](*parts)
