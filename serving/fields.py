"""Fields: a name and a value a line, on any width."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from serving.console import WHOLE
from serving.harmless import harmless

_GAP: Final = "  "


class Field(NamedTuple):
    """`short`: a number, a time or a word, that shares its line with its neighbours."""

    name: str
    value: Text
    short: bool = False


class Fields:
    """Draws fields. No value is cut; what is longer than the width goes on in the next line."""

    def __init__(self, fields: Iterable[tuple[str, str | Text]] = (), indent: int = 0) -> None:
        self._fields = [Field(name, text_of(value)) for name, value in fields]
        self._indent = indent

    def add(self, name: str, value: str | Text) -> None:
        """One more."""
        self._fields.append(Field(name, text_of(value)))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The lines."""
        names = max((len(field.name) for field in self._fields), default=0)
        for field in self._fields:
            yield from field_lines(console, options.max_width, field, indent=self._indent, names=names)


def text_of(value: str | Text) -> Text:
    """A string as it is, without markup and harmless; texts stay."""
    return value if isinstance(value, Text) else Text(harmless(value))


def shared_lines(console: Console, width: int, fields: Iterable[Field], indent: int) -> Iterator[Text]:
    """Short fields side by side, each whole; the others below."""
    line = Text()
    for field in fields:
        if not field.short:
            if line:
                yield line
                line = Text()
            yield from field_lines(console, width, field, indent=indent, names=len(field.name))
            continue
        pair = _named(field, len(field.name))
        if line and line.cell_len + len(_GAP) + pair.cell_len > width:
            yield line
            line = Text()
        line.append(_GAP if line else " " * min(indent, max(0, width - pair.cell_len)))
        line.append_text(pair)
    if line:
        yield line


def field_lines(console: Console, width: int, field: Field, *, indent: int, names: int) -> Iterator[Text]:
    """A field by itself, its value broken between words where the width asks for it."""
    margin = indent + (names + len(_GAP) if field.name else 0)
    if width >= WHOLE or margin + field.value.cell_len <= width:
        yield Text(" " * indent).append_text(_named(field, names))
        return
    longest = max(map(len, field.value.plain.split()), default=0)
    if margin + longest > width:
        # a number or a name that fits on one line is not broken
        yield Text(" " * indent).append(field.name, "dim")
        margin = min(indent, max(0, width - longest))
        parts = wrapped(console, field.value, width - margin)
    else:
        parts = wrapped(console, field.value, width - margin)
        first = parts.pop(0)
        yield Text(" " * indent).append_text(_named(field._replace(value=first), names))
    for part in parts:
        yield Text(" " * margin).append_text(part)


def wrapped(console: Console, text: Text, width: int) -> list[Text]:
    """The text in lines of at most that many columns."""
    return list(text.wrap(console, max(1, width), overflow="fold")) or [Text()]


def _named(field: Field, names: int) -> Text:
    name = Text(f"{field.name:{names}}{_GAP}" if field.name else "", "dim")
    return name.append_text(field.value)
