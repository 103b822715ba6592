"""Tables that lose nothing: on a narrow terminal columns go below their row, in a pipe lines are as long as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from serving.console import WHOLE
from serving.fields import Field, shared_lines, text_of, wrapped

_GAP: Final = "  "
#: The fewest columns of a text that is folded.
_LEAST: Final = 20
#: In a pipe longer cells push what follows to the right, in their own row.
_ALIGNED: Final = 60
_BELOW: Final = 2


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: Its heading; beside each value where it is below its row.
        right: Numbers stand at the right.
        folds: A text that may be broken over several lines; all else is shown in one piece.
        most: So many characters are shown on a terminal; 0: all. A pipe has all.
        with_next: It goes below the row together with the column after it.
    """

    name: str
    right: bool = False
    folds: bool = False
    most: int = 0
    with_next: bool = False


@dataclass(frozen=True, slots=True)
class _Row:
    cells: tuple[Text, ...]
    style: str = ""


class Table:
    """A table for people. Columns are in the order of their importance: the last ones go below their row first."""

    def __init__(self, *columns: Column, title: str | Text = "", indent: int = 0) -> None:
        self.columns = columns
        self._title = text_of(title)
        self._indent = indent
        self._rows: list[_Row | Text] = []

    def add(self, *cells: str | Text, style: str = "") -> None:
        """One row. Strings are no markup, and made harmless."""
        if len(cells) != len(self.columns):
            raise ValueError(f"{len(cells)} cells for {len(self.columns)} columns")
        self._rows.append(_Row(tuple(map(text_of, cells)), style))

    def heading(self, text: str | Text) -> None:
        """A line between rows, for those that follow."""
        heading = text_of(text)
        heading.stylize("bold")
        self._rows.append(heading)

    def natural_width(self) -> int:
        """Columns that it takes with everything in one line a row."""
        widths = self._natural([row for row in self._rows if isinstance(row, _Row)])
        return self._indent + sum(widths) + len(_GAP) * (len(widths) - 1)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The lines."""
        width = options.max_width
        for line in self._lines(console, width - self._indent if width < WHOLE else WHOLE):
            line.no_wrap, line.overflow = True, "ignore"
            line.rstrip()
            yield Text(" " * self._indent, no_wrap=True, overflow="ignore").append_text(line)

    def _lines(self, console: Console, width: int) -> Iterator[Text]:
        whole = width >= WHOLE
        if self._title:
            title = self._title.copy()
            title.stylize("bold")
            yield from [title] if whole else wrapped(console, title, width)
        rows = [row if isinstance(row, Text) or whole else self._cut(row) for row in self._rows]
        widths = self._layout([row for row in rows if isinstance(row, _Row)], width)
        if any(column.name for column in self.columns[: len(widths)]):
            names = tuple(Text(column.name, "dim") for column in self.columns)
            yield from self._row(console, _Row(names[: len(widths)]), widths, whole=whole)
        for row in rows:
            if isinstance(row, Text):
                yield from [row.copy()] if whole else wrapped(console, row, width)
                continue
            yield from self._row(console, replace(row, cells=row.cells[: len(widths)]), widths, whole=whole)
            yield from shared_lines(console, width, self._below(row, len(widths)), _BELOW)

    def _cut(self, row: _Row) -> _Row:
        """The row with no more than is shown on a terminal of a text that may be long."""
        cells = []
        for column, cell in zip(self.columns, row.cells, strict=True):
            shown = cell
            if column.most and len(cell) > column.most:
                shown = cell[: column.most]
                shown.append(f"… ({len(cell) - column.most:,} more characters)", "dim")
            cells.append(shown)
        return replace(row, cells=tuple(cells))

    def _layout(self, rows: Sequence[_Row], width: int) -> list[int]:
        """The widths of the columns that are in the row; the others are below it."""
        natural = self._natural(rows)
        if width >= WHOLE:
            return [min(wide, _ALIGNED) for wide in natural]
        count = len(natural)
        while count > 1:
            widths = _shared(self.columns[:count], natural[:count], width)
            if widths is not None:
                return widths
            count -= 1
            while count > 1 and self.columns[count - 1].with_next:
                count -= 1
        return [min(natural[0], width)]

    def _natural(self, rows: Sequence[_Row]) -> list[int]:
        return [
            max([len(column.name), *(row.cells[at].cell_len for row in rows)]) for at, column in enumerate(self.columns)
        ]

    def _row(self, console: Console, row: _Row, widths: Sequence[int], *, whole: bool) -> Iterator[Text]:
        columns = self.columns[: len(widths)]
        parts = [
            [cell] if whole or cell.cell_len <= wide else wrapped(console, cell, wide)
            for cell, wide in zip(row.cells, widths, strict=True)
        ]
        for at in range(max(map(len, parts))):
            line = Text(style=row.style)
            for number, (column, cells, wide) in enumerate(zip(columns, parts, widths, strict=True)):
                cell = cells[at].copy() if at < len(cells) else Text()
                space = " " * max(0, wide - cell.cell_len)
                line.append(_GAP if number else "")
                line.append_text(Text(space).append_text(cell) if column.right else cell.append(space))
            yield line

    def _below(self, row: _Row, count: int) -> Iterator[Field]:
        for column, cell in zip(self.columns[count:], row.cells[count:], strict=True):
            if cell.plain.strip():
                yield Field(column.name, cell, short=not column.folds)


def _shared(columns: Sequence[Column], natural: Sequence[int], width: int) -> list[int] | None:
    """Widths that fit, with texts that fold as wide as the others leave them; None where there are none."""
    room = width - len(_GAP) * (len(columns) - 1)
    room -= sum(wide for column, wide in zip(columns, natural, strict=True) if not column.folds)
    folding = {at: natural[at] for at, column in enumerate(columns) if column.folds}
    widths = list(natural)
    # the narrow ones first: what they do not need is for the others
    for number, (at, wide) in enumerate(sorted(folding.items(), key=lambda item: item[1])):
        share = room // (len(folding) - number)
        if share < min(wide, _LEAST):
            return None
        widths[at] = min(wide, share)
        room -= widths[at]
    return widths if room >= 0 else None
