"""A declaration's text to a `Pipeline`, or to one line that says where it is wrong and what would be right."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, get_args

from core.declaration.error import DeclarationError, Mistake, Place, line_of, nearest
from core.declaration.expression import Expression, ExpressionError, Kind, Operand, parse
from core.declaration.pattern import texts
from core.declaration.pipeline import (
    ALL,
    CLOUDEVENTS,
    ID_TEXT,
    STANDARD,
    Dimension,
    Distinct,
    Envelope,
    Field,
    FieldType,
    Logic,
    Measure,
    Path,
    Pipeline,
    Ratio,
    Rule,
    Stream,
    TimeFormat,
)
from core.declaration.table import LOGIC, NAME, NAME_RULE, Table
from core.declaration.type_reader import field, field_type, pointer
from core.errors import ConfigurationError
from core.rollup import DAY, HOUR, USUAL, Rollup, rollup_of
from core.verdict import Reason

#: Bytes; a declaration is written by people.
LARGEST_FILE: Final = 256 * 1024
#: Most streams, fields of one, measures, dimensions: each costs at every event.
MOST: Final = 64
#: The dimension that every event has, and words that stand beside measures in files and answers.
RESERVED: Final = {
    *(ALL, "minute", "epoch", "dimension", "value", "accepted", "duplicates", "late", "rejected"),
    # of the columns of events, and of places and times in answers
    *("topic", "partition", "offset", "append_ms", "time_ms", "seen_ms", "newest_ms", "id", "user", "source", "hash"),
    *("reason", "fault", "counted", "start", "end", "time", "hour"),
}
RESERVED_TOPICS: Final = {"dead_letters", "repairs", "clock"}
#: A dimension with more possible values than this must say so.
MOST_VALUES: Final = 100_000
_FORMATS: Final = get_args(TimeFormat)
_AGE: Final = re.compile(r"([1-9][0-9]{0,4})([hd])")


def read(text: bytes, file: str) -> Pipeline:
    """The pipeline that a TOML text declares.

    Args:
        text: The file's content.
        file: Its name, for messages.

    Raises:
        DeclarationError: It cannot be used: one line with the place and what would be right.
    """
    if len(text) > LARGEST_FILE:
        raise DeclarationError(f"{file} has {len(text):,} bytes; a declaration has at most {LARGEST_FILE:,}")
    try:
        decoded = text.decode("utf-8-sig")
        content = tomllib.loads(decoded.replace("\r\n", "\n"))
    except UnicodeDecodeError as error:
        line = text[: error.start].count(b"\n") + 1
        raise DeclarationError(f"{file}, line {line}: not UTF-8; save the file as UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise DeclarationError(f"{file}: not TOML: {error or 'nested too deeply'}") from None
    try:
        return _pipeline(Table(content))
    except Mistake as mistake:
        number = line_of(decoded, mistake.place)
        where = ", ".join(filter(None, (file, f"line {number}" if number else "", ".".join(mistake.place))))
        raise DeclarationError(f"{where}: {mistake}") from None


def _pipeline(top: Table) -> Pipeline:
    name = top.take("name", str)
    if not NAME.fullmatch(name):
        raise Mistake(("name",), f"{name!r} cannot be a pipeline's name: {NAME_RULE}")
    envelope = _envelope(top.table("envelope", required=True))
    types = _types(top.table("types"))
    streams = {
        key: _stream(key, table, types, envelope)
        for key, table in _some(top.table("streams", required=True), "stream").tables()
    }
    _distinct_events(streams)
    dimensions = {key: _dimension(key, top.table("dimensions"), streams) for key in _names(top, "dimensions")}
    measures = {
        key: _measure(key, table, streams)
        for key, table in _some(top.table("measures", required=True), "measure").tables()
    }
    distinct = {key: _distinct(key, top.table("distinct"), streams) for key in _names(top, "distinct")}
    ratios = {key: _ratio(key, top.table("ratios"), measures) for key in _names(top, "ratios")}
    _one_meaning(dimensions=dimensions, measures=measures, distinct=distinct, ratios=ratios)
    logics = {key: _logic(key, table, measures, streams) for key, table in top.table("logics").tables(LOGIC)}
    description = top.take("description", str, "")
    generator = top.take("generator", str, "")
    rollup = _rollup(top.table("rollup"))
    pipeline = Pipeline(
        name, description, envelope, streams, dimensions, measures, distinct, ratios, logics, generator, rollup=rollup
    )
    top.finish()
    return pipeline


def _rollup(table: Table) -> Rollup:
    hours, days = _minutes(table, "hours_after", USUAL.hours_after), _minutes(table, "days_after", USUAL.days_after)
    table.finish()
    try:
        return rollup_of(hours, max(hours, days) if "days_after" not in table else days)
    except ConfigurationError as error:
        raise Mistake(table.place, str(error)) from None


def _minutes(table: Table, key: str, usual: int) -> int:
    if key not in table:
        return usual
    text = table.take(key, str)
    found = _AGE.fullmatch(text)
    if found is None:
        raise Mistake((*table.place, key), f"{text!r} is no age: write hours or days, such as 24h or 31d")
    return int(found[1]) * (HOUR if found[2] == "h" else DAY)


def _envelope(table: Table) -> Envelope:
    if "format" in table:
        given = table.take("format", str)
        if given != "cloudevents":
            raise Mistake((*table.place, "format"), f"there is no format {given!r}: {nearest(given, ['cloudevents'])}")
        table.finish()
        return Envelope(True, CLOUDEVENTS[1], ("time",), "rfc3339", ("data",))
    identity = None
    if "id" in table:
        path = pointer(table, "id")
        kind = table.take("id_type", str, "string")
        types = {"string": ID_TEXT, "integer": FieldType("integer")}
        if kind not in types:
            raise Mistake((*table.place, "id_type"), f"there is no id_type {kind!r}: {nearest(kind, types)}")
        identity = Field("id", path, types[kind])
    time: Path | None = None
    time_format: TimeFormat = "rfc3339"
    if "time" in table:
        time = pointer(table, "time")
        given = table.take("time_format", str, "rfc3339")
        if given not in _FORMATS:
            place = (*table.place, "time_format")
            raise Mistake(place, f"there is no time_format {given!r}: {nearest(given, _FORMATS)}")
        time_format = given  # type: ignore[assignment]
    envelope = Envelope(False, identity, time, time_format, pointer(table, "data", "/"))
    table.finish()
    return envelope


def _types(table: Table) -> dict[str, FieldType]:
    types: dict[str, FieldType] = {}
    for name, content in table.tables():
        types[name] = field_type(content, types)
        content.finish()
    return types


def _stream(name: str, table: Table, types: Mapping[str, FieldType], envelope: Envelope) -> Stream:
    if name in RESERVED_TOPICS:
        raise Mistake(table.place, f"{name!r} is a topic of Fourfold's own: choose another name")
    fields = {
        key: field(key, content, types, envelope.data)
        for key, content in _some(table.table("fields", required=True), "field").tables()
    }
    _no_place_twice(table, fields, envelope)
    event = table.take("event", str, None)
    if event is not None and not envelope.cloudevents:
        raise Mistake((*table.place, "event"), "only CloudEvents have a type: leave `event` out")
    if event is None and envelope.cloudevents:
        raise Mistake(table.place, "'event' is missing (the type that its CloudEvents carry)")
    key = table.take("key", str, None)
    if key is not None and key not in fields:
        raise Mistake((*table.place, "key"), f"there is no field {key!r}: {nearest(key, fields)}")
    stream = Stream(name, event, key, fields, (), table.take("description", str, ""))
    rules = table.table("require")
    checked = tuple(
        Rule(_reason(rules, reason), _expression(rules, reason, stream.operands, "boolean")) for reason in rules.names()
    )
    table.finish()
    return Stream(name, event, key, fields, checked, stream.description)


def _reason(rules: Table, reason: str) -> str:
    if reason in set(Reason):
        raise Mistake((*rules.place, reason), f"{reason!r} is a reason of Fourfold's own: choose another name")
    return reason


def _dimension(name: str, table: Table, streams: Mapping[str, Stream]) -> Dimension:
    place = (*table.place, name)
    details = table.table(name) if isinstance(table.raw(name), dict) else None
    text = details.take("by", str) if details else table.take(name, str)
    fields = tuple(part.strip() for part in text.split(","))
    known = sorted({key for stream in streams.values() for key in stream.fields})
    for each in fields:
        if each not in known:
            raise Mistake(place, f"no stream has a field {each!r}: {nearest(each, known)}")
    dimension = Dimension(
        name,
        fields,
        open=details.take("open", bool, default=False) if details else False,
        label=details.take("label", str, "") if details else "",
        description=details.take("description", str, "") if details else "",
        top=details.take("top", bool, default=False) if details else False,
    )
    if details:
        details.finish()
    having = [stream for stream in streams.values() if dimension.of(stream)]
    if not having:
        raise Mistake(place, f"no stream has all of {text}")
    values = max(_possible_values(stream, fields) for stream in having)
    if not dimension.open and values > MOST_VALUES:
        raise Mistake(
            place, f"{text} may have any number of values, each of which is kept: say `open = true` to allow it"
        )
    return dimension


def _possible_values(stream: Stream, fields: tuple[str, ...]) -> int:
    number = 1
    for name in fields:
        kind = stream.fields[name].type
        if kind.values:
            number *= len(kind.values)
        elif kind.kind == "boolean":
            number *= 2
        elif kind.kind in ("integer", "decimal"):
            number *= kind.maximum - kind.minimum + 1
        else:
            number *= _possible_texts(kind)
    return number


def _possible_texts(kind: FieldType) -> int:
    return texts(kind.pattern) if kind.pattern else MOST_VALUES + 1


def _measure(name: str, table: Table, streams: Mapping[str, Stream]) -> Measure:
    counts = "count" in table
    if counts == ("of" in table):
        raise Mistake(table.place, "a measure has either `count` (a stream) or `of` (a stream) and `sum`")
    key = "count" if counts else "of"
    of = table.take(key, str)
    if of not in streams:
        raise Mistake((*table.place, key), f"there is no stream {of!r}: {nearest(of, streams)}")
    operands = streams[of].operands
    measure = Measure(
        name,
        of,
        None if counts else _expression(table, "sum", operands, "integer"),
        _expression(table, "where", operands, "boolean") if "where" in table else None,
        table.take("unit", str, ""),
        table.take("label", str, ""),
        table.take("description", str, ""),
        table.take("detail", bool, default=False),
    )
    table.finish()
    return measure


def _overlaid(measure: Measure, over: Measure) -> Measure:
    """A measure that counts otherwise, and is shown as the one that it replaces where it says nothing of that."""
    return replace(
        over,
        unit=over.unit or measure.unit,
        label=over.label or measure.label,
        description=over.description or measure.description,
        detail=over.detail or measure.detail,
    )


def _logic(name: str, table: Table, measures: Mapping[str, Measure], streams: Mapping[str, Stream]) -> Logic:
    if name == STANDARD:
        raise Mistake(table.place, f"{STANDARD} is the declaration without a logic: choose another name")
    description = table.take("description", str, "")
    overlays = _some(table.table("measures", required=True), "measure")
    for key in overlays.names():
        if key not in measures:
            raise Mistake((*overlays.place, key), f"there is no measure {key!r}: {nearest(key, measures)}")
    overlaid = {key: _overlaid(measures[key], _measure(key, each, streams)) for key, each in overlays.tables()}
    logic = Logic(name, description, overlaid)
    table.finish()
    return logic


def _distinct(name: str, table: Table, streams: Mapping[str, Stream]) -> Distinct:
    of = table.take(name, str)
    known = sorted({key for stream in streams.values() for key in stream.fields})
    if of not in known:
        raise Mistake((*table.place, name), f"no stream has a field {of!r}: {nearest(of, known)}")
    return Distinct(name, of)


def _ratio(name: str, table: Table, measures: Mapping[str, Measure]) -> Ratio:
    text = table.take(name, str)
    place = (*table.place, name)
    if text.count("/") != 1:
        raise Mistake(place, f"a ratio is one sum of measures over another, such as paid / all_orders, not {text!r}")
    # sums of sums: whatever their size, they are divided as real numbers
    operands = {key: Operand("integer", low=0, high=0) for key in measures}
    above, below = (part.strip() for part in text.split("/"))
    try:
        return Ratio(name, parse(above, operands, "integer"), parse(below, operands, "integer"))
    except ExpressionError as error:
        raise Mistake(place, str(error).replace("there is no field", "there is no measure")) from None


def _expression(table: Table, key: str, operands: Mapping[str, Operand], kind: Kind) -> Expression:
    try:
        return parse(table.take(key, str), operands, kind)
    except ExpressionError as error:
        raise Mistake((*table.place, key), str(error)) from None


def _some(table: Table, what: str) -> Table:
    number = len(table.names())
    if not number:
        raise Mistake(table.place, f"at least one {what} is needed")
    if number > MOST:
        raise Mistake(table.place, f"{number} are too many: at most {MOST} of a {what} are counted")
    return table


def _names(top: Table, key: str) -> list[str]:
    return top.table(key).names()


def _distinct_events(streams: Mapping[str, Stream]) -> None:
    seen: dict[str, str] = {}
    for name, stream in streams.items():
        if stream.event is None:
            continue
        if stream.event in seen:
            raise Mistake(
                ("streams", name, "event"), f"{stream.event!r} is the event of {seen[stream.event]!r} already"
            )
        seen[stream.event] = name


def _no_place_twice(table: Table, fields: Mapping[str, Field], envelope: Envelope) -> None:
    taken: dict[Path, str] = {}
    if envelope.id is not None:
        taken[envelope.id.path] = "the id"
    if envelope.time is not None:
        taken[envelope.time] = "the time"
    for name, each in fields.items():
        place: Place = (*table.place, "fields", name)
        for path, owner in taken.items():
            if each.path == path and owner not in ("the id", "the time"):
                raise Mistake(place, f"/{'/'.join(path)} is {owner!r} already")
            shorter, longer = sorted((each.path, path), key=len)
            if len(shorter) < len(longer) and longer[: len(shorter)] == shorter:
                raise Mistake(place, f"/{'/'.join(shorter)} cannot be a value and hold /{'/'.join(longer)}")
        taken[each.path] = name


def _one_meaning(**groups: Mapping[str, object]) -> None:
    owners: dict[str, str] = {}
    for group, names in groups.items():
        for name in names:
            if name in RESERVED:
                raise Mistake((group, name), f"{name!r} is a word of Fourfold's own: choose another name")
            if name in owners:
                raise Mistake((group, name), f"{name!r} stands in {owners[name]} already: one name has one meaning")
            owners[name] = group
