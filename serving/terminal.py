"""The terminal view: a picture drawn with rich, at the same places at each tick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice, zip_longest
from typing import Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table as Grid
from rich.text import Text

from core.cells import Cell
from core.declaration.pipeline import Pipeline
from core.event_counts import events_of
from serving.fields import Fields
from serving.harmless import harmless
from serving.live import Audit, Picture
from serving.measures import ShownMeasure, headlines, shown_measures
from serving.plain import error_text, lag_text, rate_text, seconds, trouble_of
from serving.table import Column, Table

_MOST_ROWS: Final = 12
#: Narrower terminals show one thing below the other.
_BESIDE: Final = 76
#: So many characters of a value's name, at least and at most.
_SHORT_NAME, _NAME = 12, 24


def draw(
    picture: Picture,
    pipeline: Pipeline,
    title: str,
    roles: Sequence[tuple[str, str]],
    hint: str,
    *,
    width: int = 100,
    height: int = 25,
) -> RenderableType:
    """The whole view.

    Args:
        picture: The numbers.
        pipeline: What they are of.
        title: Of the frame.
        roles: (name, state) of each process.
        hint: The last line.
        width: Columns of the terminal.
        height: Lines of the terminal; tables and counters take what the rest leaves.
    """
    return _View(picture, pipeline, title, roles, hint, width, height)


class _View:
    def __init__(
        self,
        picture: Picture,
        pipeline: Pipeline,
        title: str,
        roles: Sequence[tuple[str, str]],
        hint: str,
        width: int,
        height: int,
    ) -> None:
        self._picture = picture
        self._pipeline = pipeline
        self._shown = headlines(shown_measures(pipeline))
        self._heading = _heading(picture, pipeline, self._shown, title, width)
        self._state = _state(picture, pipeline, roles)
        self._hint = Text(hint, style="dim")
        self._beside = width >= _BESIDE
        self._width, self._height = width, height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """What fits, the least important left out: rows of the tables first, then how many were rejected of each kind."""

        def lines(*parts: RenderableType) -> int:
            return sum(len(console.render_lines(part, options, pad=False)) for part in parts)

        name = self._name_beside()
        first, second = (lines(*self._rankings(rows, name)) for rows in (1, 2))
        always = lines(self._heading, self._hint)
        for below in self._choices():
            room = self._height - 1 - always - lines(*below)
            if room >= first:
                rows = min(_MOST_ROWS, 1 + (room - first) // (second - first))
                yield Group(self._heading, *self._rankings(rows, name), *below, self._hint)
                return
        sums = _sums(self._picture)
        below = [self._state, sums] if always + lines(self._state, sums) < self._height else [sums]
        yield Group(self._heading, *below, self._hint)

    def _choices(self) -> list[list[RenderableType]]:
        """What is below the tables, from the most to the least."""
        rejected = (
            _panel(_quality(self._picture, self._pipeline.reasons), _rejected(self._picture)),
            _sums(self._picture),
        )
        if self._beside:
            state = _panel(self._state, "state")
            return [[_side_by_side(rejected[0], state)], [state, rejected[1]]]
        return [[self._state, each] for each in rejected]

    def _name_beside(self) -> int:
        """How long names may be with the two tables side by side; 0 where they are one below the other."""
        if not self._beside:
            return 0
        over = max(table.natural_width() for table in self._tables(_MOST_ROWS, _NAME)) - (self._width // 2 - 2)
        name = _NAME - max(0, over)
        return name if name >= _SHORT_NAME else 0

    def _rankings(self, rows: int, name: int) -> list[RenderableType]:
        tables = self._tables(rows, name or _NAME)
        return [_side_by_side(*tables)] if name else [*tables]

    def _tables(self, rows: int, name: int) -> list[Table]:
        by = self._picture.by
        # the first two have room
        first = islice(self._pipeline.dimensions, 2)
        return [_ranking(dimension, by.get(dimension, {}), self._shown, rows, name) for dimension in first]


def _side_by_side(left: RenderableType, right: RenderableType) -> Grid:
    grid = Grid.grid(expand=True, padding=(0, 1))
    grid.add_column(ratio=1)
    grid.add_column(ratio=1)
    grid.add_row(left, right)
    return grid


def _panel(content: RenderableType, title: str) -> Panel:
    return Panel(content, title=Text(title), title_align="left", border_style="blue")


def _heading(
    picture: Picture, pipeline: Pipeline, shown: Sequence[ShownMeasure], title: str, width: int
) -> RenderableType:
    entries = [(measure.heading, measure.text(picture.totals)) for measure in shown]
    entries.append(("events/s", rate_text(picture)))
    if (users := pipeline.distinct_users) is not None:
        number = f"{'' if picture.users.exact else '≈'}{picture.users.number:,}"
        entries.append((f"{users.name.replace('_', ' ')}, 15 min", number))
    if max(len(text) for entry in entries for text in entry) > (width - 4) // len(entries) - 2:
        fields = Fields([(name, Text(value, "bold cyan")) for name, value in entries])
        return Group(Text(title, "bold blue"), fields)
    numbers = Grid.grid(expand=True, padding=(0, 1))
    for _ in entries:
        numbers.add_column(justify="center", ratio=1)
    numbers.add_row(*(Text(value, style="bold cyan") for _, value in entries))
    numbers.add_row(*(Text(name, style="dim") for name, _ in entries))
    return _panel(numbers, title)


def _ranking(
    dimension: str, cells: Mapping[str, Cell], measures: Sequence[ShownMeasure], rows: int, name: int
) -> Table:
    columns = (Column(measure.column, right=True) for measure in measures)
    table = Table(Column(f"{dimension:{name}}"), *columns)
    shown = list(cells.items())[:rows]
    for value, cell in shown:
        # wide signs take two columns
        text = Text(harmless(value[: name + 1]))
        text.truncate(name, overflow="ellipsis")
        table.add(text, *(measure.short(cell) for measure in measures))
    for _ in range(rows - len(shown)):
        table.add("", *[""] * len(measures))
    return table


def _rejected(picture: Picture) -> str:
    return f"rejected {sum(picture.rejected.values()):,}"


def _sums(picture: Picture) -> Text:
    """How many records were rejected, in one line."""
    return Text(f"{_rejected(picture)}, duplicates {picture.duplicates:,}, late {picture.late:,}")


def _quality(picture: Picture, reasons: Sequence[str]) -> RenderableType:
    pairs = [(reason.replace("_", " "), picture.rejected.get(reason, 0)) for reason in reasons]
    pairs += [("duplicates", picture.duplicates), ("late", picture.late)]
    half = -(-len(pairs) // 2)
    grid = Grid.grid(expand=True, padding=(0, 1))
    for _ in range(2):
        grid.add_column(no_wrap=True)
        grid.add_column(justify="right", ratio=1, no_wrap=True)
    for left, right in zip_longest(pairs[:half], pairs[half:]):
        cells = [(name, f"{number:,}") for name, number in filter(None, (left, right))]
        grid.add_row(*(text for pair in cells for text in pair))
    return grid


def _state(picture: Picture, pipeline: Pipeline, roles: Sequence[tuple[str, str]]) -> Fields:
    fields = Fields()
    style = {Audit.EXACT: "green", Audit.OFF: "bold red"}.get(picture.audit, "yellow")
    fields.add("live error", Text(error_text(picture), style=style))
    beyond = "-" if picture.beyond is None else f"{picture.beyond:,} duplicates not recognised"
    fields.add("vs the ideal", beyond)
    fields.add("lag", f"{lag_text(picture)} records" if picture.lag is not None else "unknown")
    fields.add("freshness", f"{seconds(picture.age_s)} since the last append")
    fields.add("batch view", _batch(picture, pipeline))
    states = Text("  ").join(
        Text(name, style="green") if state == "up" else Text(f"{name} {state}", style="yellow") for name, state in roles
    )
    fields.add("roles", states if roles else "-")
    trouble = "; ".join(trouble_of(picture))
    fields.add("trouble", Text(trouble or "none", style="bold red" if trouble else "green"))
    return fields


def _batch(picture: Picture, pipeline: Pipeline) -> str:
    if picture.version is None:
        return "-"
    share = picture.from_batch / max(1, events_of(pipeline)(picture.totals))
    return f"v{picture.version}, {seconds(picture.batch_age_s)} old, {share:.0%} of all"
