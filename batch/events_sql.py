"""Raw rows to what each one counts for, as SQL made from a declaration: `core.kernel` by another road.

Shares no code with it but the declaration and expressions' nodes. A stage is a common table expression:
DuckDB works an alias out again wherever its own stage uses it.
"""

from __future__ import annotations

from collections.abc import Iterator

from batch.expression_sql import literal, quoted, source_of
from core.contract import DEEPEST, FUTURE_LIMIT_MS, LONGEST_TIME, OLDEST_MS, SHORTEST_TIME, UNSTAMPED_MS
from core.declaration.pipeline import ALL, EXACT, TIME_UNITS, Field, FieldType, Measure, Path, Pipeline, Stream

_KEYS = 'topic, partition, "offset", append_ms'


def events_sql(pipeline: Pipeline) -> str:
    """The statement that makes the table `events` of `raw` and `cut`; `rules.sql` has the macros that it uses.

    A row each: `reason` (null where it is accepted), id, minute, epoch, late, counted (whether it is the first of its
    id), `user`, the dimensions (null where an event lacks one) and the measures.
    """
    streams = "\nUNION ALL BY NAME\n".join(f"({_StreamSql(pipeline, stream).query()})" for stream in pipeline.streams)
    return f"""
CREATE TEMP TABLE events AS
WITH typed AS ({streams}),
placed AS (
    SELECT * EXCLUDE (time_ms, seen_ms),
        (time_ms // 60000)::INTEGER AS minute,
        max(append_ms // $epoch_ms) OVER so_far AS epoch,
        greatest(0, max(seen_ms) OVER so_far) AS newest_ms,
        time_ms < greatest(0, max(seen_ms) OVER before) - $lateness_ms AS late
    -- CASE, since least(null, x) is x: what is rejected moves no watermark.
    -- An event from the future must not make all others late
    FROM (SELECT *, CASE WHEN reason IS NULL THEN least(time_ms, append_ms) END AS seen_ms FROM typed)
    WINDOW so_far AS (PARTITION BY topic, partition ORDER BY "offset" ROWS UNBOUNDED PRECEDING),
        before AS (
            PARTITION BY topic, partition ORDER BY "offset" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
)
SELECT *,
    reason IS NULL
        AND row_number() OVER (PARTITION BY id ORDER BY epoch, append_ms, topic, partition, "offset") = 1 AS counted
FROM placed;
"""


def counts_sql(pipeline: Pipeline) -> str:
    """The statements that make `cells` and `users` of the table `events`; a measure is null where 64 bits do not hold it."""
    dimensions = ", ".join([literal(ALL), *map(literal, pipeline.dimensions)])
    values = ", ".join(["''", *map(quoted, pipeline.dimensions)])
    measures = ", ".join(map(quoted, pipeline.measures))
    sums = ", ".join(f"try_cast(sum({quoted(name)}) AS BIGINT) AS {quoted(name)}" for name in pipeline.measures)
    some = " OR ".join(f"sum({quoted(name)}) <> 0" for name in pipeline.measures)
    return f"""
CREATE TEMP TABLE cells AS
SELECT minute, dimension, value, {sums}
FROM (
    SELECT minute, {measures}, unnest([{dimensions}]) AS dimension, unnest([{values}]) AS value
    FROM events WHERE counted
)
WHERE value IS NOT NULL GROUP BY minute, dimension, value HAVING {some} ORDER BY minute, dimension, value;

CREATE TEMP TABLE users AS
SELECT DISTINCT minute, user FROM events WHERE counted AND user IS NOT NULL ORDER BY ALL;
"""


class _Object:
    """An object of the document: the names in it that are asked for, in the order of their columns."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.names: list[str] = []
        self.inner: dict[str, _Object] = {}


class _StreamSql:
    """The query of one stream: its raw rows, judged."""

    def __init__(self, pipeline: Pipeline, name: str) -> None:
        self._pipeline, self._name = pipeline, name
        self._stream: Stream = pipeline.streams[name]
        envelope = pipeline.envelope
        self._objects: list[_Object] = [_Object(0)]
        paths: list[Path] = [("type",)] if envelope.cloudevents else []
        paths += [field.path for field in envelope.fields] + ([] if envelope.time is None else [envelope.time])
        for path in [*paths, *(field.path for field in self._stream.fields.values())]:
            self._add(path)

    def query(self) -> str:
        return "WITH " + ",\n".join(f"{name} AS ({body})" for name, body in self._stages()) + "\nSELECT * FROM counted"

    def _add(self, path: Path) -> None:
        node = self._objects[0]
        for depth, part in enumerate(path, 1):
            if part not in node.names:
                node.names.append(part)
            if depth < len(path):
                if part not in node.inner:
                    node.inner[part] = _Object(len(self._objects))
                    self._objects.append(node.inner[part])
                node = node.inner[part]

    def _stages(self) -> Iterator[tuple[str, str]]:
        yield (
            "texts",
            f"SELECT {_KEYS}, try(decode(value)) AS text FROM raw JOIN cut USING (topic, partition) "
            f'WHERE topic = {literal(self._name)} AND "offset" < next',
        )
        yield (
            "documents",
            f"SELECT {_KEYS}, CASE WHEN coalesce(strict_json(text), false) AND NOT too_deep(text, {DEEPEST}) "
            "THEN text END AS document FROM texts",
        )
        yield (
            "o0",
            f"SELECT {_KEYS}, document IS NOT NULL AS is_json, "
            "CASE WHEN json_type(document) = 'OBJECT' THEN document END AS object0 FROM documents",
        )
        last = "o0"
        for node in self._objects:
            for name, body in self._read(node, last):
                yield name, body
                last = name
        yield "timed", f"SELECT *, {self._time()} AS time_ms FROM {last}"
        faults = ",\n".join(self._faults())
        yield "judged", f"SELECT *, coalesce({faults}) AS fault FROM timed"
        yield "valued", f"SELECT {_KEYS}, fault, time_ms, {', '.join(self._values())} FROM judged"
        rules = " ".join(
            f"WHEN NOT {source_of(rule.condition.root, _value_name)} THEN {literal(rule.reason)}"
            for rule in self._stream.rules
        )
        yield "ruled", f"SELECT *, CASE WHEN fault IS NOT NULL THEN fault {rules} END AS reason FROM valued"
        yield "counted", f"SELECT {_KEYS}, reason, {', '.join(self._columns())} FROM ruled"

    def _read(self, node: _Object, before: str) -> Iterator[tuple[str, str]]:
        """Kinds and texts of what is asked for in an object, and the objects in it."""
        n = node.number
        yield f"names{n}", f"SELECT *, json_keys(object{n}) AS names{n} FROM {before}"
        paths = f"[{', '.join(map(_json_path, node.names))}]"
        last_of = [f"last_of(object{n}, names{n}, {literal(name)})" for name in node.names]
        kinds = "[" + ", ".join(f"json_type({each})" for each in last_of) + "]"
        texts = "[" + ", ".join(f"({each} ->> '$')" for each in last_of) + "]"
        columns = [
            f"CASE WHEN repeated(names{n}) THEN {kinds} ELSE json_type(object{n}, {paths}) END AS kinds{n}",
            f"CASE WHEN repeated(names{n}) THEN {texts} ELSE json_extract_string(object{n}, {paths}) END AS texts{n}",
        ]
        for name, inner in node.inner.items():
            last = f"last_of(object{n}, names{n}, {literal(name)})"
            found = f"json_extract(object{n}, {_json_path(name)})"
            columns.append(f"CASE WHEN repeated(names{n}) THEN {last} ELSE {found} END AS found{inner.number}")
        yield f"fields{n}", f"SELECT *, {', '.join(columns)} FROM names{n}"
        if node.inner:
            numbers = [inner.number for inner in node.inner.values()]
            found = ", ".join(f"found{i}" for i in numbers)
            objects = ", ".join(
                f"CASE WHEN json_type(found{i}) = 'OBJECT' THEN found{i} END AS object{i}" for i in numbers
            )
            yield f"o{n}_{numbers[0]}", f"SELECT * EXCLUDE ({found}), {objects} FROM fields{n}"

    def _place(self, path: Path) -> tuple[list[str], str, str]:
        """Kinds of the objects on the way, and kind and text of the value."""
        node, way = self._objects[0], []
        for part in path[:-1]:
            way.append(f"kinds{node.number}[{node.names.index(part) + 1}]")
            node = node.inner[part]
        at = node.names.index(path[-1]) + 1
        return way, f"kinds{node.number}[{at}]", f"texts{node.number}[{at}]"

    def _time(self) -> str:
        envelope = self._pipeline.envelope
        if envelope.time is None:
            return "append_ms::HUGEINT"
        _, kind, text = self._place(envelope.time)
        if envelope.time_format == "rfc3339":
            return (
                f"millis_of(CASE WHEN {kind} = 'VARCHAR' AND length({text}) BETWEEN {SHORTEST_TIME} AND {LONGEST_TIME} "
                f"THEN {text} END)::HUGEINT"
            )
        multiplier, divisor = TIME_UNITS[envelope.time_format]
        return f"integer_millis({kind}, {text}, {multiplier}, {divisor})"

    def _faults(self) -> Iterator[str]:
        yield f"CASE WHEN append_ms = {UNSTAMPED_MS} THEN 'not_stamped' END"
        yield "CASE WHEN NOT is_json THEN 'not_json' WHEN object0 IS NULL THEN 'wrong_type' END"
        envelope = self._pipeline.envelope
        if envelope.cloudevents:
            _, kind, text = self._place(("type",))
            known = ", ".join(literal(each.event or "") for each in self._pipeline.streams.values())
            yield (
                f"CASE WHEN {kind} IS NULL THEN 'missing_field' WHEN {kind} <> 'VARCHAR' THEN 'wrong_type' "
                f"WHEN {text} NOT IN ({known}) THEN 'unknown_type' "
                f"WHEN {text} <> {literal(self._stream.event or '')} THEN 'wrong_topic' END"
            )
        yield from map(self._field_fault, envelope.fields)
        if envelope.time is not None:
            _, kind, _ = self._place(envelope.time)
            unread = (
                f"WHEN {kind} <> 'VARCHAR' THEN 'wrong_type' WHEN time_ms IS NULL THEN 'bad_format'"
                if envelope.time_format == "rfc3339"
                else f"{self._integer_fault(envelope.time)} WHEN time_ms IS NULL THEN 'out_of_range'"
            )
            yield self._guarded(
                envelope.time,
                f"CASE {unread} WHEN time_ms > append_ms + {FUTURE_LIMIT_MS} THEN 'from_future' "
                f"WHEN time_ms < {OLDEST_MS} THEN 'out_of_range' END",
                optional=False,
            )
        yield from map(self._field_fault, self._stream.fields.values())

    def _integer_fault(self, path: Path) -> str:
        _, kind, text = self._place(path)
        whole = FieldType("integer")
        fault = f"integer_fault({kind}, {text}, {_big(whole.minimum)}, {_big(whole.maximum)})"
        return f"WHEN {fault} IS NOT NULL THEN {fault}"

    def _guarded(self, path: Path, fault: str, *, optional: bool) -> str:
        """A fault of a value that is there; what is wrong where it is not."""
        way, kind, _ = self._place(path)
        if optional:
            whens = [f"WHEN {each} NOT IN ('OBJECT', 'NULL') THEN 'wrong_type'" for each in way]
            whens.append(f"WHEN coalesce({kind}, 'NULL') = 'NULL' THEN NULL")
        else:
            whens = [
                f"WHEN {each} IS NULL THEN 'missing_field' WHEN {each} <> 'OBJECT' THEN 'wrong_type'" for each in way
            ]
            whens.append(f"WHEN {kind} IS NULL THEN 'missing_field'")
        return f"CASE {' '.join(whens)} ELSE {fault} END"

    def _field_fault(self, field: Field) -> str:
        _, kind, text = self._place(field.path)
        wanted = field.type
        if wanted.kind == "integer":
            fault = f"integer_fault({kind}, {text}, {_big(wanted.minimum)}, {_big(wanted.maximum)})"
        elif wanted.kind == "decimal":
            name = "decimal_text_fault" if wanted.text else "decimal_fault"
            unit = 10**wanted.scale
            fault = f"{name}({kind}, {text}, {_big(wanted.minimum)}, {_big(wanted.maximum)}, {unit}, {EXACT})"
        elif wanted.kind == "boolean":
            fault = f"CASE WHEN {kind} <> 'BOOLEAN' THEN 'wrong_type' END"
        else:
            fault = f"CASE {' '.join(_text_faults(wanted, kind, text))} END"
        return self._guarded(field.path, fault, optional=field.optional)

    def _values(self) -> Iterator[str]:
        identity = self._pipeline.envelope.id
        place = """concat(topic, ':', partition, ':', "offset")"""
        text = place if identity is None else self._place(identity.path)[2]
        if self._pipeline.envelope.ids_of_streams:
            text = f"concat(topic, ':', {text})"
        yield f"CASE WHEN fault IS NULL THEN {text} END AS id"
        for field in self._stream.fields.values():
            _, _, text = self._place(field.path)
            value = {
                "string": text,
                "integer": f"try_cast({text} AS BIGINT)",
                "boolean": f"({text} = 'true')",
                "decimal": f"try_cast(round(try_cast({text} AS DOUBLE) * {10**field.type.scale}) AS BIGINT)",
            }[field.type.kind]
            yield f"CASE WHEN fault IS NULL THEN {value} END AS {_value_name(field.name)}"

    def _columns(self) -> Iterator[str]:
        yield "CASE WHEN reason IS NULL THEN id END AS id"
        yield "CASE WHEN reason IS NULL THEN time_ms::BIGINT END AS time_ms"
        held = self._pipeline.distinct_users
        # without such a column `user` would be whoever is connected
        user = "NULL::VARCHAR" if held is None else self._text((held.field,))
        yield f"CASE WHEN reason IS NULL THEN {user} END AS user"
        for dimension in self._pipeline.dimensions.values():
            yield f"CASE WHEN reason IS NULL THEN {self._text(dimension.fields)} END AS {quoted(dimension.name)}"
        for measure in self._pipeline.measures.values():
            amount = self._amount(measure) if measure.stream == self._name else "0"
            yield f"CASE WHEN reason IS NULL THEN {amount} ELSE 0 END::BIGINT AS {quoted(measure.name)}"

    def _text(self, names: tuple[str, ...]) -> str:
        if any(name not in self._stream.fields for name in names):
            return "NULL::VARCHAR"
        values = [_value_name(name) for name in names]
        if len(names) == 1:
            return f"{values[0]}::VARCHAR"
        absent = " OR ".join(f"{value} IS NULL" for value in values)
        return f"CASE WHEN {absent} THEN NULL ELSE json_array({', '.join(values)})::VARCHAR END"

    def _amount(self, measure: Measure) -> str:
        amount = "1" if measure.sum is None else f"coalesce({source_of(measure.sum.root, _value_name)}, 0)"
        if measure.where is None:
            return amount
        return f"CASE WHEN {source_of(measure.where.root, _value_name)} THEN {amount} ELSE 0 END"


def _text_faults(wanted: FieldType, kind: str, text: str) -> Iterator[str]:
    yield f"WHEN {kind} <> 'VARCHAR' THEN 'wrong_type'"
    if wanted.values:
        yield f"WHEN {text} NOT IN ({', '.join(map(literal, wanted.values))}) THEN 'bad_format'"
    if wanted.min_length:
        yield f"WHEN length({text}) < {wanted.min_length} THEN 'out_of_range'"
    if wanted.max_length is not None:
        yield f"WHEN length({text}) > {wanted.max_length} THEN 'out_of_range'"
    if wanted.pattern is not None:
        yield f"WHEN NOT regexp_full_match({text}, {literal(wanted.pattern)}) THEN 'bad_format'"


def _value_name(field: str) -> str:
    return quoted(f"value_{field}")


def _json_path(name: str) -> str:
    return literal('$."' + name.replace("\\", "\\\\").replace('"', '\\"') + '"')


def _big(number: int) -> str:
    return f"{number}::HUGEINT"
