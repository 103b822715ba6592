"""aggregate: accepted events of one stream and minute to sums by dimension, by code that is made from the declaration."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import compress
from operator import attrgetter
from typing import Any, Final, NamedTuple

from core.declaration.pipeline import ALL, Dimension, Field, Measure, Path, Pipeline
from core.kernel.event_type import EventType, attribute
from core.kernel.python_source import source_of

#: What each event adds to a count.
ONE: Final = "1"


class Columns(NamedTuple):
    """Cells of one dimension: `sums` has a column for each measure of the pipeline, an empty one where all are zero."""

    dimension: str
    minutes: Sequence[int]
    values: list[str]
    sums: list[Sequence[int]]


class Tally:
    """Sums of events, and events that are not yet in them. Empty after construction.

    Attributes:
        events: What `Aggregate.kept` takes of each.
        all: Sums of all, by measure of the stream.
        sums: By dimension of the stream: value to sums by measure (to a number where all are counts).
        distinct: By distinct count of the stream: the values, with repetitions.
    """

    __slots__ = ("all", "distinct", "events", "sums")

    def __init__(self, sums: list[Any], measures: int, distinct: int) -> None:
        self.events: list[Any] = []
        self.all = [0] * measures
        self.sums = sums
        self.distinct: list[list[str]] = [[] for _ in range(distinct)]


class Aggregate:
    """Aggregates the events of one stream.

    Attributes:
        kept: Event to the part of it that is aggregated; None where that is the whole event.
        distinct: The distinct counts that the stream's events have a value of.
        users: The place among these of the one that views hold; None where the events have no value of it.
        source: The code that was made.
    """

    def __init__(self, pipeline: Pipeline, stream: str, event: EventType, scope: dict[str, Any]) -> None:
        """`scope`: what code that reads fields calls (`Decide.scaled`)."""
        self._event = event
        self._fields = pipeline.streams[stream].fields
        self._measures = pipeline.measures_of(stream)
        # where nothing is summed there are no cells
        self._dimensions = pipeline.dimensions_of(stream) if self._measures else ()
        self.distinct = [name for name, each in pipeline.distinct.items() if each.field in self._fields]
        self._distinct = [self._fields[pipeline.distinct[name].field] for name in self.distinct]
        held = pipeline.distinct_users
        self.users = None if held is None or held.name not in self.distinct else self.distinct.index(held.name)
        order = list(pipeline.measures)
        self._width = len(order)
        self._places = [order.index(measure.name) for measure in self._measures]
        self._base: Path = event.base(self._used())
        self._counts = self._only_counts()
        self.kept: Callable[[Any], Any] | None = (
            attrgetter(".".join(map(attribute, self._base))) if self._base else None
        )
        self.source = "\n".join(self._source()) + "\n"
        made: dict[str, Any] = {**scope, "attrgetter": attrgetter, "text_of": text_of}
        exec(compile(self.source, f"<aggregate {pipeline.name}.{stream}>", "exec"), made)  # noqa: S102 - of checked nodes
        #: adds the events of a tally to its sums, and lets go of them
        self.condense: Callable[[Tally], None] = made["condense"]
        #: events to what each adds by measure, its values by dimension, and its user (None: it has none)
        self._apart: Callable[[Sequence[Any]], tuple[list[list[int]], list[list[Any]], list[str | None]]] = made[
            "apart"
        ]

    def tally(self) -> Tally:
        """An empty one."""
        sums: list[Any] = [Counter() if self._counts else {} for _ in self._dimensions]
        return Tally(sums, len(self._measures), len(self._distinct))

    def cells(self, tally: Tally) -> Iterator[tuple[str, str, list[int]]]:
        """(dimension, value, sums by measure of the pipeline) of what was condensed; none with sums of zero alone."""
        if any(tally.all):
            yield ALL, "", self._wide(tally.all)
        times = len(self._measures)
        for dimension, sums in zip(self._dimensions, tally.sums, strict=True):
            for value, found in sums.items():
                numbers = [found] * times if self._counts else found
                if any(numbers):
                    yield dimension.name, value if type(value) is str else text_of(value), self._wide(numbers)

    def columns(self, minute: int, tally: Tally) -> Iterator[Columns]:
        """As `cells`, in columns; `minute`: that of the events."""
        if any(tally.all):
            yield Columns(ALL, [minute], [""], self._wide_columns([(number,) for number in tally.all]))
        times = len(self._measures)
        for dimension, sums in zip(self._dimensions, tally.sums, strict=True):
            found = sums if self._counts else {value: numbers for value, numbers in sums.items() if any(numbers)}
            if found:
                columns = [list(found.values())] * times if self._counts else list(zip(*found.values(), strict=True))
                yield Columns(dimension.name, [minute] * len(found), _texts(found), self._wide_columns(columns))

    def rows(self, minutes: Sequence[int], events: Sequence[Any]) -> tuple[list[Columns], dict[int, list[str]]]:
        """What each event adds, for events of many minutes, of which few would be added up.

        Args:
            minutes: By event.
            events: What `kept` takes of each.

        Returns:
            Columns, in which keys may repeat; and by minute the users that views hold.
        """
        sums, values, users = self._apart(events)
        by_minute: dict[int, list[str]] = {}
        for minute, user in zip(minutes, users, strict=False):
            if user is not None:
                by_minute.setdefault(minute, []).append(user)
        if not self._measures:
            return [], by_minute
        adding = [any(adds) for adds in zip(*sums, strict=True)]
        columns = [self._chosen(ALL, adding, minutes, [""] * len(events), sums)]
        for dimension, found in zip(self._dimensions, values, strict=True):
            there = adding
            if any(self._fields[name].optional for name in dimension.fields):
                there = [adds and value is not None for adds, value in zip(adding, found, strict=True)]
            columns.append(self._chosen(dimension.name, there, minutes, found, sums))
        return [each for each in columns if each.values], by_minute

    def _chosen(
        self, dimension: str, chosen: list[bool], minutes: Sequence[int], values: list[Any], sums: list[list[int]]
    ) -> Columns:
        if not all(chosen):
            minutes, values = list(compress(minutes, chosen)), list(compress(values, chosen))
            sums = [list(compress(column, chosen)) for column in sums]
        return Columns(dimension, minutes, _texts(values), self._wide_columns(sums))

    def _wide_columns(self, columns: Sequence[Sequence[int]]) -> list[Sequence[int]]:
        wide: list[Sequence[int]] = [()] * self._width
        for place, column in zip(self._places, columns, strict=True):
            wide[place] = column
        return wide

    def _wide(self, numbers: list[int]) -> list[int]:
        wide = [0] * self._width
        for place, number in zip(self._places, numbers, strict=True):
            wide[place] = number
        return wide

    def _used(self) -> list[Field]:
        names = {name for dimension in self._dimensions for name in dimension.fields}
        names |= {field.name for field in self._distinct}
        for measure in self._measures:
            names |= {name for each in (measure.sum, measure.where) if each is not None for name in each.names}
        return [field for field in self._fields.values() if field.name in names]

    def _only_counts(self) -> bool:
        """Whether there is nothing but counting, which `Counter` does in C: twice as fast as a loop."""
        return all(each.sum is None and each.where is None for each in self._measures) and not any(
            len(each.fields) > 1 or field.optional or field.type.kind == "decimal"
            for each in self._dimensions
            for field in (self._fields[name] for name in each.fields)
        )

    def _read(self, field: Field) -> str:
        return self._event.value(field, "e", len(self._base))

    def _getter(self, field: Field) -> str:
        return f"attrgetter({'.'.join(map(attribute, field.path[len(self._base) :]))!r})"

    def _source(self) -> Iterator[str]:
        for number, field in enumerate(self._distinct):
            yield f"distinct_{number} = {self._getter(field)}"
        if self._counts:
            for number, dimension in enumerate(self._dimensions):
                yield f"by_{number} = {self._getter(self._fields[dimension.fields[0]])}"
        yield "def condense(tally):"
        yield "    events = tally.events"
        for number, field in enumerate(self._distinct):
            values = f"map(distinct_{number}, events)"
            if field.optional or field.type.kind != "string":
                value = "v" if field.type.kind == "string" else "text_of(v)"
                values = f"[{value} for e in events if (v := {self._read(field)}) is not None]"
            yield f"    tally.distinct[{number}].extend({values})"
        yield from self._counting() if self._counts else self._summing()
        yield "    events.clear()"
        yield "def apart(events):"
        yield from self._counting_apart() if self._counts else self._summing_apart()
        users = "()"
        if self.users is not None:
            field = self._distinct[self.users]
            users = f"list(map(distinct_{self.users}, events))"
            if field.type.kind != "string":
                users = f"[None if (v := {self._read(field)}) is None else text_of(v) for e in events]"
        yield f"    return sums, values, {users}"

    def _counting_apart(self) -> Iterator[str]:
        yield f"    sums = [[1] * len(events)] * {len(self._measures)}"
        yield f"    values = [{', '.join(f'list(map(by_{number}, events))' for number in range(len(self._dimensions)))}]"

    def _summing_apart(self) -> Iterator[str]:
        yield f"    sums = [{', '.join('[]' for _ in self._measures)}]"
        yield f"    values = [{', '.join('[]' for _ in self._dimensions)}]"
        for number in range(len(self._measures)):
            yield f"    add_{number} = sums[{number}].append"
        for number in range(len(self._dimensions)):
            yield f"    value_{number} = values[{number}].append"
        yield "    for e in events:"
        for field in self._used():
            yield f"        f_{field.name} = {self._read(field)}"
        for number, measure in enumerate(self._measures):
            yield f"        add_{number}({amount(measure, 'f_{}'.format)})"
        for number, dimension in enumerate(self._dimensions):
            value, absent = self._value(dimension)
            if absent and len(dimension.fields) > 1:
                value = f"{value} if {' and '.join(f'{name} is not None' for name in absent)} else None"
            yield f"        value_{number}({value})"
        if not self._used():
            yield "        pass"

    def _value(self, dimension: Dimension) -> tuple[str, list[str]]:
        """Source of an event's value, and those of its fields that may be null."""
        names = [f"f_{name}" for name in dimension.fields]
        absent = [f"f_{name}" for name in dimension.fields if self._fields[name].optional]
        return names[0] if len(names) == 1 else f"({', '.join(names)})", absent

    def _counting(self) -> Iterator[str]:
        yield "    count = len(events)"
        yield "    tally.all = [number + count for number in tally.all]"
        for number in range(len(self._dimensions)):
            yield f"    tally.sums[{number}].update(map(by_{number}, events))"

    def _summing(self) -> Iterator[str]:
        measures = range(len(self._measures))
        for number in measures:
            yield f"    all_{number} = tally.all[{number}]"
        for number in range(len(self._dimensions)):
            yield f"    sums_{number} = tally.sums[{number}]"
        yield "    for e in events:"
        for field in self._used():
            yield f"        f_{field.name} = {self._read(field)}"
        adds = []
        for number, measure in enumerate(self._measures):
            value = amount(measure, "f_{}".format)
            if value != ONE:
                yield f"        m_{number} = {value}"
                value = f"m_{number}"
            adds.append(value)
        for number in measures:
            yield f"        all_{number} += {adds[number]}"
        for number, dimension in enumerate(self._dimensions):
            yield from self._add(number, dimension, adds)
        for number in measures:
            yield f"    tally.all[{number}] = all_{number}"

    def _add(self, number: int, dimension: Dimension, adds: list[str]) -> Iterator[str]:
        value, absent = self._value(dimension)
        pad = "        "
        if absent:
            yield f"{pad}if {' and '.join(f'{name} is not None' for name in absent)}:"
            pad += "    "
        yield f"{pad}try:"
        yield f"{pad}    cell = sums_{number}[{value}]"
        yield f"{pad}except KeyError:"
        yield f"{pad}    sums_{number}[{value}] = [{', '.join(adds)}]"
        yield f"{pad}else:"
        for place, add in enumerate(adds):
            yield f"{pad}    cell[{place}] += {add}"


def amount(measure: Measure, read: Callable[[str], str]) -> str:
    """Python source of what an event adds to a measure of its stream; `ONE` where each adds one.

    Args:
        measure: Null sums add nothing, and null conditions count nothing.
        read: Field to source of its value.
    """
    value = ONE
    if measure.sum is not None:
        value = source_of(measure.sum.root, read)
        value = f"({value} or 0)" if measure.sum.root.nullable else value
    return value if measure.where is None else f"({value} if {source_of(measure.where.root, read)} else 0)"


def _texts(values: Iterable[Any]) -> list[str]:
    return [value if type(value) is str else text_of(value) for value in values]


def text_of(value: Any) -> str:
    """A dimension's value that is no text: JSON of it; of several fields together an array."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
