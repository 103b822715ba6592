"""columns: accepted events of one stream as columns of what is aggregated, by code that is made from the declaration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from core.declaration.pipeline import Measure, Pipeline
from core.kernel.aggregate import ONE, amount, text_of
from core.kernel.event_type import EventType


class Columns:
    """The columns of one stream.

    Attributes:
        source: The code that was made.
    """

    def __init__(self, pipeline: Pipeline, stream: str, event: EventType, scope: dict[str, Any]) -> None:
        """`scope`: what code that reads fields calls (`Decide.scaled`)."""
        self._pipeline = pipeline
        self._event = event
        self._stream = pipeline.streams[stream]
        self.source = "\n".join(self._source()) + "\n"
        made: dict[str, Any] = {**scope, "text_of": text_of}
        exec(compile(self.source, f"<columns {pipeline.name}.{stream}>", "exec"), made)  # noqa: S102 - of checked nodes
        self._of = made["columns"]

    def of(self, events: Sequence[Any]) -> dict[str, list[Any]]:
        """By name of a distinct count, dimension or measure of the pipeline, in this order: a value for each event.

        Values of distinct counts and dimensions are texts, None where an event has none; those of measures are numbers.
        """
        names = [*self._pipeline.distinct, *self._pipeline.dimensions, *self._pipeline.measures]
        return dict(zip(names, self._of(events), strict=True))

    def _source(self) -> Iterator[str]:
        yield "def columns(events):"
        yield "    none, zeros, ones = [None] * len(events), [0] * len(events), [1] * len(events)"
        columns = [self._dimension((each.field,)) for each in self._pipeline.distinct.values()]
        columns += [self._dimension(each.fields) for each in self._pipeline.dimensions.values()]
        columns += [self._measure(each) for each in self._pipeline.measures.values()]
        yield f"    return {', '.join(columns)},"

    def _dimension(self, names: tuple[str, ...]) -> str:
        if any(name not in self._stream.fields for name in names):
            return "none"
        reads = [self._read(name) for name in names]
        fields = [self._stream.fields[name] for name in names]
        if len(names) == 1 and fields[0].type.kind == "string":
            return f"[{reads[0]} for e in events]"
        held = [f"(v{number} := {read})" for number, read in enumerate(reads)]
        values = [f"v{number}" for number in range(len(reads))]
        value = values[0] if len(names) == 1 else f"({', '.join(values)})"
        absent = " or ".join(f"{each} is None" for each in held)
        return f"[None if {absent} else text_of({value}) for e in events]"

    def _measure(self, measure: Measure) -> str:
        if self._pipeline.streams[measure.stream] is not self._stream:
            return "zeros"
        value = amount(measure, self._read)
        return "ones" if value == ONE else f"[{value} for e in events]"

    def _read(self, name: str) -> str:
        return self._event.value(self._stream.fields[name], "e")
