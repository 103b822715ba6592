r"""Patterns of text fields: the part of regular expressions that every engine understands alike.

A pattern matches the whole value. Python's `re` (with `re.ASCII`) and RE2 agree on literals, classes,
groups without names, alternatives and bounded repetition; anchors, look-around, back references, flags
and `\s` (RE2's lacks a character) are refused.
"""

from __future__ import annotations

import re
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, Final

#: RE2 refuses more.
MOST_REPEATS: Final = 1_000
LONGEST: Final = 1_000
_LEAVES: Final = {sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.RANGE, sre.NEGATE}
_CLASSES: Final = {sre.CATEGORY_DIGIT, sre.CATEGORY_NOT_DIGIT, sre.CATEGORY_WORD, sre.CATEGORY_NOT_WORD}
_CLASS_SIZES: Final = {sre.CATEGORY_DIGIT: 10, sre.CATEGORY_WORD: 63}
_MANY: Final = 2**63
_REFUSED: Final = {
    "AT": "an anchor (a pattern matches the whole value anyway)",
    "ASSERT": "a look-ahead or look-behind",
    "ASSERT_NOT": "a look-ahead or look-behind",
    "GROUPREF": "a back reference",
    "GROUPREF_EXISTS": "a condition",
    "CATEGORY": r"\s, which engines understand differently (write [ \t] or [^ ])",
    "POSSESSIVE_REPEAT": "a possessive repetition",
    "ATOMIC_GROUP": "an atomic group",
}


class PatternError(ValueError):
    """A text is no pattern that all engines understand alike; the message is for people."""


def compiled(pattern: str) -> re.Pattern[str]:
    """The checked pattern, for `fullmatch`. Raises `PatternError`."""
    if len(pattern) > LONGEST:
        raise PatternError(f"the pattern has {len(pattern):,} characters, at most {LONGEST:,} are read")
    try:
        tree = parser.parse(pattern)
        if tree.state.groupdict:
            raise PatternError("groups cannot have names: write ( ) or (?: )")
        if tree.state.flags & ~re.UNICODE:
            raise PatternError("flags such as (?i) cannot be used")
        _check(tree, 1)
        return re.compile(pattern, re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(f"{pattern!r} is not a pattern: {error}") from None


def _check(tree: Any, times: int) -> None:
    for operation, argument in tree:
        if operation in _LEAVES or (operation is sre.CATEGORY and argument in _CLASSES):
            continue
        if operation in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            low, high, inner = argument
            # RE2 unrolls bounded repetitions, one within the other
            unrolled = times * max(1, low if high is sre.MAXREPEAT else high)
            if unrolled > MOST_REPEATS:
                raise PatternError(f"it repeats more than {MOST_REPEATS:,} times")
            _check(inner, unrolled)
        elif operation is sre.SUBPATTERN:
            _, added, removed, inner = argument
            if added or removed:
                raise PatternError("flags such as (?i) cannot be used")
            _check(inner, times)
        elif operation is sre.BRANCH:
            for branch in argument[1]:
                _check(branch, times)
        elif operation is sre.IN:
            _check(argument, times)
        else:
            raise PatternError(f"it has {_REFUSED.get(str(operation), str(operation).lower())}")


def texts(pattern: str) -> int:
    """An upper bound of how many texts a pattern matches; at least 2**63 means any number."""
    return _ways(parser.parse(pattern))


def _ways(tree: Any) -> int:
    """How many texts a sequence of nodes matches at most."""
    number = 1
    for operation, argument in tree:
        number = min(_MANY, number * _ways_of(operation, argument))
    return number


def _ways_of(operation: Any, argument: Any) -> int:  # noqa: PLR0911 - a node each
    if operation is sre.LITERAL:
        return 1
    if operation is sre.IN:
        ways = 0
        for inner, value in argument:
            if inner is sre.RANGE:
                ways += value[1] - value[0] + 1
            else:
                ways += (
                    _CLASS_SIZES.get(value, _MANY) if inner is sre.CATEGORY else 1 if inner is sre.LITERAL else _MANY
                )
        return ways
    if operation in (sre.MAX_REPEAT, sre.MIN_REPEAT):
        low, high, inner = argument
        each = _ways(inner)
        if high is sre.MAXREPEAT or each**high > _MANY:
            return _MANY
        return int(sum(each**times for times in range(low, high + 1)))
    if operation is sre.SUBPATTERN:
        return _ways(argument[3])
    if operation is sre.BRANCH:
        return sum(map(_ways, argument[1]))
    return _MANY


def longest_text(pattern: str) -> int | None:
    """Characters of the longest text that a pattern matches; None without a limit."""
    longest = int(parser.parse(pattern).getwidth()[1])
    return longest if longest < sre.MAXREPEAT else None
