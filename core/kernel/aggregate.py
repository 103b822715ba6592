"""aggregate: accepted events of one stream and minute to sums by dimension, by code that is made from the declaration."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any, Final

from core.declaration.pipeline import ALL, Dimension, Field, Measure, Path, Pipeline
from core.kernel.event_type import EventType, attribute
from core.kernel.python_source import source_of

#: What each event adds to a count.
ONE: Final = "1"


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

    def columns(self, tally: Tally) -> Iterator[tuple[str, list[str], list[Sequence[int]]]]:
        """As `cells`, in columns: (dimension, values, one column for each measure of the pipeline; empty: all zero)."""
        if any(tally.all):
            yield ALL, [""], self._wide_columns([(number,) for number in tally.all])
        times = len(self._measures)
        for dimension, sums in zip(self._dimensions, tally.sums, strict=True):
            found = sums if self._counts else {value: numbers for value, numbers in sums.items() if any(numbers)}
            if not found:
                continue
            values = [value if type(value) is str else text_of(value) for value in found]
            columns = [list(found.values())] * times if self._counts else list(zip(*found.values(), strict=True))
            yield dimension.name, values, self._wide_columns(columns)

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
        names = [f"f_{name}" for name in dimension.fields]
        value = names[0] if len(names) == 1 else f"({', '.join(names)})"
        absent = [f"f_{name}" for name in dimension.fields if self._fields[name].optional]
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


def text_of(value: Any) -> str:
    """A dimension's value that is no text: JSON of it; of several fields together an array."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
