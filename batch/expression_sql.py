"""Expressions as SQL (DuckDB): nulls are SQL's own, numbers are 64-bit integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from core.declaration.expression import Constant, Name, Node

_SIGNS: Final = {"==": "=", "!=": "<>", "and": "AND", "or": "OR"}


def source_of(node: Node, read: Callable[[str], str]) -> str:
    """SQL whose value is that of a node.

    Args:
        node: A checked expression's.
        read: Field to SQL of its value.
    """
    if isinstance(node, Name):
        return read(node.name)
    if isinstance(node, Constant):
        return literal(node.value) if isinstance(node.value, str) else f"CAST({node.value} AS BIGINT)"
    parts = [source_of(part, read) for part in node.parts]
    if node.sign == "not":
        return f"(NOT {parts[0]})"
    return f"({f' {_SIGNS.get(node.sign, node.sign)} '.join(parts)})"


def literal(text: str) -> str:
    """A text as SQL writes it; declarations have no control characters."""
    return "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'
