"""What is wrong with a declaration, and where."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Final

from core.errors import ConfigurationError

#: A key path of a TOML file, outermost table first.
Place = tuple[str, ...]

_KEY: Final = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_DOTTED: Final = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER: Final = re.compile(rf"\s*\[\s*({_DOTTED})\s*\]")
_ASSIGNED: Final = re.compile(rf"\s*({_DOTTED})\s*=")
_PART: Final = re.compile(_KEY)


class DeclarationError(ConfigurationError):
    """A declaration that cannot be used. The message says where, what is wrong and what would be right."""


class Mistake(Exception):  # noqa: N818 - becomes a `DeclarationError` where the file is known
    """What is wrong at a place of a declaration, before it is known which line of which file that is."""

    def __init__(self, place: Sequence[str], message: str) -> None:
        super().__init__(message)
        self.place: Place = tuple(place)


def nearest(wrong: str, known: Iterable[str]) -> str:
    """What to say about a name that does not exist: the nearest one that does, or all of them."""
    names = list(known)
    close = get_close_matches(wrong, names, 1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(names)}" if names else "there are none"


def line_of(text: str, place: Sequence[str]) -> int | None:
    """The line (from 1) of a TOML text on which a place is declared; of the nearest table around it otherwise."""
    best: tuple[int, int] | None = None
    table: Place = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            found = table = _parts(header[1])
        elif assigned := _ASSIGNED.match(line):
            found = (*table, *_parts(assigned[1]))
        else:
            continue
        depth = len(found)
        if tuple(place[:depth]) == found and (best is None or depth > best[0]):
            best = depth, number
    return best[1] if best else None


def _parts(dotted: str) -> Place:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))
