"""Expressions of a declaration: field names, whole numbers, texts, `+ - *`, comparisons, `and or not`.

Parsed with `ast` into a closed set of nodes; nothing is ever evaluated as code. Three truth values as in
SQL: arithmetic and comparisons with an absent field are null, `and or not` follow Kleene. An expression
whose value might not fit 64 bits, by the limits of its fields, is refused when the declaration is read.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from core.declaration.error import nearest

Kind = Literal["integer", "text", "boolean"]
#: What 64 bits hold.
SMALLEST, LARGEST = -(2**63), 2**63 - 1
LONGEST: Final = 1_000
DEEPEST: Final = 50

_ARITHMETIC: Final[dict[type[ast.operator], str]] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*"}
_COMPARISONS: Final[dict[type[ast.cmpop], str]] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
_ALLOWED: Final = "fields, whole numbers, texts, + - *, comparisons, and, or, not"


class ExpressionError(ValueError):
    """A text is no expression over these fields; the message is for people."""


@dataclass(frozen=True, slots=True)
class Operand:
    """What an expression may know of a field: its kind, whether it may be absent, its limits (integers)."""

    kind: Kind
    nullable: bool = False
    low: int = SMALLEST
    high: int = LARGEST


@dataclass(frozen=True, slots=True)
class Name:
    """The value of a field."""

    name: str
    kind: Kind
    nullable: bool
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Constant:
    """A number or a text."""

    value: int | str
    kind: Kind
    low: int = 0
    high: int = 0
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """`+ - *` over integers, a comparison, `and`, `or` (two or more parts) or `not` (one)."""

    sign: str
    parts: tuple[Node, ...]
    kind: Kind
    nullable: bool
    low: int = 0
    high: int = 1


Node = Name | Constant | Operation


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression; `text` is what the declaration says."""

    text: str
    root: Node

    @property
    def canonical(self) -> str:
        """Its text with spaces and brackets as one always writes them."""
        return ast.unparse(ast.parse(self.text, mode="eval"))

    @property
    def names(self) -> frozenset[str]:
        """The fields whose values it takes."""
        return frozenset(_names(self.root))


def parse(text: str, operands: Mapping[str, Operand], kind: Kind) -> Expression:
    """The expression of a text.

    Args:
        text: What the declaration says.
        operands: What it may name.
        kind: What its value must be.

    Raises:
        ExpressionError: The text is no expression of that kind over these operands.
    """
    if len(text) > LONGEST:
        raise ExpressionError(f"the expression has {len(text):,} characters, at most {LONGEST:,} are read")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        why = error.msg if isinstance(error, SyntaxError) else "it is nested too deeply"
        raise ExpressionError(f"{text!r} is not an expression: {why}") from None
    root = _Parser(text, operands).node(tree, 0)
    if root.kind != kind:
        raise ExpressionError(f"{text!r} gives {_a(root.kind)} where {_a(kind)} is needed")
    return Expression(text, root)


class _Parser:
    def __init__(self, text: str, operands: Mapping[str, Operand]) -> None:
        self._text = text
        self._operands = operands

    def node(self, tree: ast.expr, depth: int) -> Node:
        if depth > DEEPEST:
            raise ExpressionError(f"the expression is nested more than {DEEPEST} deep")
        match tree:
            case ast.Name(id=name):
                return self._name(name)
            case ast.Constant() | ast.UnaryOp(op=ast.USub(), operand=ast.Constant()):
                return _constant(tree)
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                return self._logical("not", [inner], depth)
            case ast.BoolOp(op=operator, values=values):
                return self._logical("and" if isinstance(operator, ast.And) else "or", values, depth)
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _ARITHMETIC:
                one, other = (self._of_kind(side, "integer", depth) for side in (left, right))
                return _arithmetic(_ARITHMETIC[type(operator)], one, other)
            case ast.Compare(left=left, ops=[comparison], comparators=[right]) if type(comparison) in _COMPARISONS:
                return self._comparison(_COMPARISONS[type(comparison)], left, right, depth)
        raise ExpressionError(f"{ast.unparse(tree)!r} cannot be used in an expression: it has {_ALLOWED}")

    def _name(self, name: str) -> Name:
        known = self._operands.get(name)
        if known is None:
            raise ExpressionError(f"there is no field {name!r}: {nearest(name, self._operands)}")
        return Name(name, known.kind, known.nullable, known.low, known.high)

    def _of_kind(self, tree: ast.expr, kind: Kind, depth: int) -> Node:
        node = self.node(tree, depth + 1)
        if node.kind != kind:
            raise ExpressionError(f"{ast.unparse(tree)!r} is {_a(node.kind)} where {_a(kind)} is needed")
        return node

    def _logical(self, sign: str, trees: list[ast.expr], depth: int) -> Operation:
        parts = tuple(self._of_kind(tree, "boolean", depth) for tree in trees)
        return Operation(sign, parts, "boolean", any(part.nullable for part in parts))

    def _comparison(self, sign: str, left: ast.expr, right: ast.expr, depth: int) -> Operation:
        one, other = self.node(left, depth + 1), self.node(right, depth + 1)
        if one.kind != other.kind:
            raise ExpressionError(f"{self._text!r} compares {_a(one.kind)} with {_a(other.kind)}")
        if one.kind != "integer" and sign not in ("==", "!="):
            raise ExpressionError(f"{self._text!r}: only numbers have an order, {_a(one.kind)} has == and !=")
        return Operation(sign, (one, other), "boolean", one.nullable or other.nullable)


def _constant(tree: ast.expr) -> Constant:
    value = ast.literal_eval(tree)
    if isinstance(value, str):
        return Constant(value, "text")
    if isinstance(value, bool) or not isinstance(value, int):
        raise ExpressionError(f"{value!r} cannot be used in an expression: it has {_ALLOWED}")
    if not SMALLEST <= value <= LARGEST:
        raise ExpressionError(f"{value} does not fit 64 bits")
    return Constant(value, "integer", value, value)


def _arithmetic(sign: str, one: Node, other: Node) -> Operation:
    if sign == "*":
        ends = [x * y for x in (one.low, one.high) for y in (other.low, other.high)]
    elif sign == "+":
        ends = [one.low + other.low, one.high + other.high]
    else:
        ends = [one.low - other.high, one.high - other.low]
    low, high = min(ends), max(ends)
    if low < SMALLEST or high > LARGEST:
        far = max(high, -low)
        raise ExpressionError(f"it may reach {far:.1e}, which 64 bits do not hold: give its fields narrower limits")
    return Operation(sign, (one, other), "integer", one.nullable or other.nullable, low, high)


def _names(node: Node) -> list[str]:
    if isinstance(node, Name):
        return [node.name]
    return [name for part in node.parts for name in _names(part)] if isinstance(node, Operation) else []


def _a(kind: Kind) -> str:
    return {"integer": "a whole number", "text": "a text", "boolean": "true or false"}[kind]
