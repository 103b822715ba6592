"""A pipeline as declared: streams of events with fields, what is counted of them, and by what."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal, Self

from core.cells import Cell
from core.declaration.expression import LARGEST, SMALLEST, Expression, Kind, Operand
from core.errors import ConfigurationError
from core.rollup import USUAL, Rollup
from core.verdict import Reason

#: Doubles are exact on whole numbers up to here, so scaled decimals are.
EXACT: Final = 2**53

FieldKind = Literal["string", "integer", "decimal", "boolean"]
TimeFormat = Literal["rfc3339", "epoch_s", "epoch_ms", "epoch_us"]
Path = tuple[str, ...]
#: What a number of a format is multiplied with, and then divided by, to give milliseconds.
TIME_UNITS: Final[dict[TimeFormat, tuple[int, int]]] = {"epoch_s": (1000, 1), "epoch_ms": (1, 1), "epoch_us": (1, 1000)}
#: `Pipeline.meaning` of views, in Redis and in the lake, that were made before they said it: the shop's.
MEANING_BEFORE: Final = "4cd4151a94a2"
#: The dimension that every event has, with the one value "".
ALL: Final = "all"


@dataclass(frozen=True, slots=True)
class FieldType:
    """What a value may be, in the words of JSON Schema.

    Attributes:
        minimum: Of an integer; of a decimal the scaled integer.
        maximum: As `minimum`.
        min_length: Characters of a string.
        max_length: Characters of a string; None without a limit.
        pattern: Matches the whole string (`core.declaration.pattern`).
        values: The only strings that are allowed, where they are listed.
        scale: Digits behind the point of a decimal: 12.90 is read as 1290 with a scale of 2.
        text: Whether a decimal comes as a string.
    """

    kind: FieldKind
    minimum: int = SMALLEST
    maximum: int = LARGEST
    min_length: int = 0
    max_length: int | None = None
    pattern: str | None = None
    values: tuple[str, ...] = ()
    scale: int = 0
    text: bool = False
    description: str = ""

    @property
    def meaning(self) -> dict[str, Any]:
        """What decides which values it has."""
        told = asdict(self)
        del told["description"]
        return told

    @property
    def operand_kind(self) -> Kind:
        """What an expression sees."""
        kinds: dict[FieldKind, Kind] = {"string": "text", "boolean": "boolean"}
        return kinds.get(self.kind, "integer")


@dataclass(frozen=True, slots=True)
class Field:
    """A value of an event, and where it is in the document."""

    name: str
    path: Path
    type: FieldType
    optional: bool = False
    personal: bool = False
    description: str = ""

    @property
    def meaning(self) -> Any:
        """What decides which events have it, and its value."""
        return [self.path, self.type.meaning, self.optional]

    @property
    def operand(self) -> Operand:
        """What an expression may know of it."""
        number = self.type.operand_kind == "integer"
        limits = (self.type.minimum, self.type.maximum) if number else (0, 1)
        return Operand(self.type.operand_kind, self.optional, *limits)


#: What identifies an event, where events have ids.
ID_TEXT: Final = FieldType("string", min_length=1, max_length=64)
CLOUDEVENTS_CONTENT_TYPE: Final = "application/cloudevents+json"
#: A CloudEvents document has these beside `type`, `time` and `data`: specversion, id, source, in the order of faults.
CLOUDEVENTS: Final = (
    Field("specversion", ("specversion",), FieldType("string", values=("1.0",))),
    Field("id", ("id",), ID_TEXT),
    Field("source", ("source",), FieldType("string", min_length=1, max_length=2048)),
)


@dataclass(frozen=True, slots=True)
class Envelope:
    """Where the id, the time and the data of an event are.

    Attributes:
        cloudevents: Whether events are CloudEvents 1.0 documents in structured mode: `specversion` and `source`
            are required, and an event is identified by source and id.
        id: None where events have no id: the place of the record is it, and nothing is a duplicate.
        time: None where events have no time: the append time is it.
        data: The object that the paths of fields begin at.
    """

    cloudevents: bool
    id: Field | None
    time: Path | None
    time_format: TimeFormat
    data: Path

    @property
    def meaning(self) -> Any:
        """What decides which events there are, and which of them are one."""
        return [self.cloudevents, self.id and self.id.meaning, self.time, self.time_format, self.data]

    @property
    def ids_of_streams(self) -> bool:
        """Whether an id is one of its stream's: CloudEvents are identified by source and id, wherever they are."""
        return not self.cloudevents and self.id is not None

    @property
    def content_type(self) -> str:
        """What a record's header says that its value is."""
        return CLOUDEVENTS_CONTENT_TYPE if self.cloudevents else "application/json"

    @property
    def fields(self) -> tuple[Field, ...]:
        """What it requires beside type and time, in the order of faults."""
        if self.cloudevents:
            return CLOUDEVENTS
        return () if self.id is None else (self.id,)


@dataclass(frozen=True, slots=True)
class Rule:
    """What must hold of an accepted event, and the reason of a rejection where it does not (null: nothing said)."""

    reason: str
    condition: Expression


@dataclass(frozen=True, slots=True)
class Stream:
    """The events of one topic.

    Attributes:
        event: The type that its CloudEvents carry; None where there is none to check.
        key: The field that records are keyed by, where there is one.
    """

    name: str
    event: str | None
    key: str | None
    fields: Mapping[str, Field]
    rules: tuple[Rule, ...]
    description: str = ""

    @property
    def meaning(self) -> Any:
        """What decides which of its records are events."""
        fields = {name: field.meaning for name, field in self.fields.items()}
        return [self.event, fields, [[rule.reason, rule.condition.canonical] for rule in self.rules]]

    @property
    def document(self) -> str:
        """The name of its documents: the type that they carry, or the stream's own."""
        return self.event or self.name

    @property
    def operands(self) -> dict[str, Operand]:
        """Its fields, as expressions see them."""
        return {name: field.operand for name, field in self.fields.items()}


@dataclass(frozen=True, slots=True)
class Dimension:
    """What is counted by: the values of one field, or of several together."""

    name: str
    fields: tuple[str, ...]
    #: whether it may have any number of values
    open: bool = False
    label: str = ""
    #: what its values are
    description: str = ""
    #: whether it is the one that is ranked where nobody says which
    top: bool = False

    def of(self, stream: Stream) -> bool:
        """Whether the events of a stream have it."""
        return all(name in stream.fields for name in self.fields)


@dataclass(frozen=True, slots=True)
class Measure:
    """What is counted: the events of a stream, or a sum over them, where a condition is true.

    Attributes:
        sum: None where each event counts one.
        unit: What is summed; `EUR cents`, the code of a money and `cents`, is shown as money.
        detail: Whether it is left out where there is room for few.
    """

    name: str
    stream: str
    sum: Expression | None = None
    where: Expression | None = None
    unit: str = ""
    label: str = ""
    description: str = ""
    detail: bool = False

    @property
    def meaning(self) -> Any:
        """What decides its number."""
        return [self.stream, self.sum and self.sum.canonical, self.where and self.where.canonical]

    @property
    def counts_events(self) -> bool:
        """Whether it is the number of all events of its stream."""
        return self.sum is None and self.where is None


@dataclass(frozen=True, slots=True)
class Distinct:
    """What is counted once however often it comes: the values of a field."""

    name: str
    field: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Ratio:
    """One sum of measures over another."""

    name: str
    above: Expression
    below: Expression
    label: str = ""


#: The name of the declaration as it is, where logics overlay it.
STANDARD: Final = "standard"


@dataclass(frozen=True, slots=True)
class Logic:
    """An overlay under a name: measures that count otherwise, so that two meanings can run side by side."""

    name: str
    description: str
    measures: Mapping[str, Measure]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A whole declaration, checked: every name in it exists, every expression fits.

    Attributes:
        generator: What makes synthetic events of it; "" where nothing does.
        logic: The name of the overlay that `measures` are under.
        overlaid: The measures that this overlay stands for, as declared.
        rollup: How long event time is kept by minutes and by hours, where counts are kept for good.
    """

    name: str
    description: str
    envelope: Envelope
    streams: Mapping[str, Stream]
    dimensions: Mapping[str, Dimension]
    measures: Mapping[str, Measure]
    distinct: Mapping[str, Distinct]
    ratios: Mapping[str, Ratio]
    logics: Mapping[str, Logic]
    generator: str = ""
    logic: str = STANDARD
    overlaid: Mapping[str, Measure] = field(default_factory=dict)
    rollup: Rollup = USUAL

    def under(self, logic: str) -> Self:
        """This pipeline under one of its logics. Raises `ConfigurationError` for an unknown name."""
        if logic == self.logic:
            return self
        if logic == STANDARD or logic not in self.logics:
            known = ", ".join([STANDARD, *self.logics])
            raise ConfigurationError(f"there is no logic {logic!r} in the pipeline {self.name}: there are {known}")
        measures = self.logics[logic].measures
        overlaid = {name: self.measures[name] for name in measures}
        return replace(self, measures={**self.measures, **measures}, logic=logic, overlaid=overlaid)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why a record may be rejected: in the order in which it is looked for, but for the log's own fault, the last."""
        own = (rule.reason for stream in self.streams.values() for rule in stream.rules)
        common = (reason for reason in Reason if reason is not Reason.NOT_STAMPED)
        return tuple(dict.fromkeys([*map(str, common), *own, str(Reason.NOT_STAMPED)]))

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics of its events, in declared order."""
        return tuple(self.streams)

    @property
    def dimension_names(self) -> tuple[str, ...]:
        """What cells are counted by, `all` first; the order of columns in every view."""
        return (ALL, *self.dimensions)

    @property
    def ranked_first(self) -> str | None:
        """The dimension that is ranked where nobody says which; None where there is none."""
        return next((each.name for each in self.dimensions.values() if each.top), next(iter(self.dimensions), None))

    @property
    def zero(self) -> Cell:
        """A cell in which nothing is counted."""
        return Cell([0] * len(self.measures))

    @property
    def counted(self) -> dict[str, int]:
        """By stream: the place of a measure that counts all its events; streams that have none are left out."""
        found: dict[str, int] = {}
        for place, measure in enumerate(self.measures.values()):
            if measure.counts_events:
                found.setdefault(measure.stream, place)
        return found

    @property
    def distinct_users(self) -> Distinct | None:
        """What stores count once however often it comes: they hold one distinct count, the first."""
        return next(iter(self.distinct.values()), None)

    @property
    def meaning(self) -> str:
        """A digest of what decides what views hold, without labels, descriptions and units; the same under each logic."""
        measures = {**self.measures, **self.overlaid}
        told = {
            "envelope": self.envelope.meaning,
            "streams": {name: stream.meaning for name, stream in sorted(self.streams.items())},
            "dimensions": {name: dimension.fields for name, dimension in self.dimensions.items()},
            "measures": {name: measure.meaning for name, measure in measures.items()},
            "distinct": {name: each.field for name, each in self.distinct.items()},
        }
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]

    def measures_of(self, stream: str) -> tuple[Measure, ...]:
        """The measures that events of a stream add to, in declared order."""
        return tuple(measure for measure in self.measures.values() if measure.stream == stream)

    def dimensions_of(self, stream: str) -> tuple[Dimension, ...]:
        """The dimensions that events of a stream have, in declared order."""
        return tuple(each for each in self.dimensions.values() if each.of(self.streams[stream]))

    def always_has(self, stream: str, dimension: str) -> bool:
        """Whether each event of a stream has a value of a dimension."""
        fields = self.streams[stream].fields
        names = () if dimension == ALL else self.dimensions[dimension].fields
        return all(name in fields and not fields[name].optional for name in names)
