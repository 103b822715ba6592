"""A table of a declaration, read key by key: wrong kinds and unknown keys are mistakes with their place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar, overload

from core.declaration.error import Mistake, Place, nearest

_T = TypeVar("_T")
_D = TypeVar("_D")
_KINDS: Final[dict[type, str]] = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    float: "a number",
    dict: "a table",
}
#: Names get into file names, Redis keys, SQL and URLs: these need no quoting anywhere.
NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
#: A logic's name stands in commands and answers alone.
LOGIC: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}")
NAME_RULE: Final = "a name is a small letter, then small letters, digits and _, at most 40 in all"


class Table:
    """One table. `finish` says which keys nobody asked for."""

    def __init__(self, content: Mapping[str, Any], place: Place = ()) -> None:
        self.place = place
        self._content = content
        self._asked: list[str] = []

    def __contains__(self, key: str) -> bool:
        return key in self._content

    @overload
    def take(self, key: str, kind: type[_T]) -> _T: ...
    @overload
    def take(self, key: str, kind: type[_T], default: _D) -> _T | _D: ...

    def take(self, key: str, kind: type[_T], default: Any = ...) -> Any:
        """The value of a key. Raises `Mistake` where it is missing or of another kind."""
        self._asked.append(key)
        if key not in self._content:
            if default is ...:
                raise Mistake(self.place, f"{key!r} is missing ({_KINDS[kind]})")
            return default
        value = self._content[key]
        fits = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            return value
        if not fits:
            raise Mistake((*self.place, key), f"{key} must be {_KINDS[kind]}, not {_shown(value)}")
        if isinstance(value, str):
            _plain_text((*self.place, key), value)
        return value

    def raw(self, key: str) -> Any:
        """A value of whatever kind."""
        return self._content.get(key)

    def table(self, key: str, *, required: bool = False) -> Table:
        """A table below this one; an empty one where it is absent and not required."""
        content = self.take(key, dict) if required else self.take(key, dict, {})
        return Table(content, (*self.place, key))

    def tables(self, name: re.Pattern[str] = NAME) -> Iterator[tuple[str, Table]]:
        """All entries, each of which must be a table under a name of that form."""
        for key in self.names(name):
            yield key, self.table(key, required=True)

    def texts(self) -> Iterator[tuple[str, str]]:
        """All entries, each of which must be a text under a `NAME`."""
        for key in self.names():
            yield key, self.take(key, str)

    def names(self, name: re.Pattern[str] = NAME) -> list[str]:
        """All keys. Raises `Mistake` for one that is not of that form."""
        for key in self._content:
            if not name.fullmatch(key):
                raise Mistake((*self.place, key), f"{key!r} cannot be a name: {NAME_RULE}")
        return list(self._content)

    def finish(self) -> None:
        """Raises `Mistake` for the first key that was not asked for."""
        for key in self._content:
            if key not in self._asked:
                raise Mistake((*self.place, key), f"there is no {key!r} here: {nearest(key, self._asked)}")


def _plain_text(place: Place, text: str) -> None:
    control = next((c for c in text if not c.isprintable()), None)
    if control is not None:
        raise Mistake(place, f"the control character U+{ord(control):04X} cannot be used")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."  # noqa: PLR2004 - enough to find it
