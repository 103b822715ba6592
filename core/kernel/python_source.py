"""Expressions as Python: source over whatever reads a field, and a function over a mapping of values.

Only nodes that `core.declaration.expression` has checked become source: names of fields and constants
are the only texts of a declaration in it, the constants by `repr`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any

from core.declaration.expression import Constant, Expression, Name, Node, Operation


def source_of(node: Node, read: Callable[[str], str]) -> str:
    """Python source whose value is that of a node, None where it is null.

    Args:
        node: A checked expression's.
        read: Field to source of its value.
    """
    return _source(node, read, map("_t{}".format, count()))


def function_of(expression: Expression) -> Callable[[Mapping[str, Any]], Any]:
    """What gives the value of an expression for a mapping of field to value."""
    source = source_of(expression.root, lambda name: f"values[{name!r}]")
    return eval(f"lambda values: {source}", {"__builtins__": {}})  # type: ignore[no-any-return]  # noqa: S307 - of checked nodes


def _source(node: Node, read: Callable[[str], str], fresh: Iterator[str]) -> str:
    if isinstance(node, Name):
        return read(node.name)
    if isinstance(node, Constant):
        return f"({node.value!r})"
    parts = [_source(part, read, fresh) for part in node.parts]
    if not node.nullable:
        return f"(not {parts[0]})" if node.sign == "not" else f"({f' {node.sign} '.join(parts)})"
    if node.sign == "not":
        held = next(fresh)
        return f"(None if ({held} := {parts[0]}) is None else not {held})"
    if node.sign in ("and", "or"):
        return _kleene(node, parts, fresh)
    names = [next(fresh) for _ in parts]
    absent = " or ".join(
        f"({name} := {part}) is None"
        for name, part, each in zip(names, parts, node.parts, strict=True)
        if each.nullable
    )
    values = [name if each.nullable else part for name, part, each in zip(names, parts, node.parts, strict=True)]
    return f"(None if {absent} else {f' {node.sign} '.join(values)})"


def _kleene(node: Operation, parts: list[str], fresh: Iterator[str]) -> str:
    """`and` is false where one part is, `or` true where one is, whatever the others; else null where one is null."""
    decides, otherwise = ("False", "True") if node.sign == "and" else ("True", "False")
    names = [next(fresh) for _ in parts]
    decided = " or ".join(f"({name} := {part}) is {decides}" for name, part in zip(names, parts, strict=True))
    null = " or ".join(f"{name} is None" for name in names)
    return f"({decides} if {decided} else None if {null} else {otherwise})"
