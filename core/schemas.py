"""The contract for other programs: JSON Schema of each stream's events, generated from the declaration.

`adapters.kafka.asyncapi` says the rest; `fourfold contract` writes the committed copies in `docs/contract/`.
"""

from __future__ import annotations

from typing import Any, Final

from core.contract import LONGEST_TIME, SHORTEST_TIME
from core.declaration.expression import LARGEST, SMALLEST, Constant, Name, Node, Operation
from core.declaration.pipeline import Field, FieldType, Path, Pipeline, Stream

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_TIME: Final = {
    "description": "RFC 3339, with offset",
    "type": "string",
    "format": "date-time",
    "minLength": SHORTEST_TIME,
    "maxLength": LONGEST_TIME,
}
_UNITS: Final = {"epoch_s": "seconds", "epoch_ms": "milliseconds", "epoch_us": "microseconds"}


def json_schemas(pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    """File name to JSON Schema (2020-12), one for each stream.

    A rule that compares a field with a text is in it; what else rules say, no schema says.
    """
    return {
        f"{stream.document}.schema.json": {
            "$schema": _DIALECT,
            "title": stream.document,
            "description": f"{stream.description or 'An event'}. On the topic `{stream.name}`.",
            **_object(_leaves(pipeline, stream)),
        }
        for stream in pipeline.streams.values()
    }


def _leaves(pipeline: Pipeline, stream: Stream) -> dict[Path, tuple[dict[str, Any], bool]]:
    """By path: the schema of the value there, and whether it may be absent."""
    envelope = pipeline.envelope
    leaves: dict[Path, tuple[dict[str, Any], bool]] = {}
    if stream.event is not None:
        leaves["type",] = ({"const": stream.event}, False)
    leaves |= {field.path: (_value(field), False) for field in envelope.fields}
    if envelope.time is not None:
        unit = _UNITS.get(envelope.time_format)
        time = _TIME if unit is None else {"description": f"{unit} since 1970, UTC", "type": "integer"}
        leaves[envelope.time] = (dict(time), False)
    constants = dict(found for rule in stream.rules for found in _constants(rule.condition.root))
    for name, field in stream.fields.items():
        constant = {"const": constants[name]} if name in constants else {}
        leaves[field.path] = (_value(field) | constant, field.optional)
    return leaves


def _object(leaves: dict[Path, tuple[dict[str, Any], bool]]) -> dict[str, Any]:
    inner: dict[str, dict[Path, tuple[dict[str, Any], bool]]] = {}
    for path, leaf in leaves.items():
        inner.setdefault(path[0], {})[path[1:]] = leaf
    properties = {name: below[()][0] if () in below else _object(below) for name, below in inner.items()}
    required = [name for name, below in inner.items() if not all(optional for _, optional in below.values())]
    return {"type": "object", "properties": properties, "required": required}


def _value(field: Field) -> dict[str, Any]:
    about = field.description or field.type.description
    schema: dict[str, Any] = {"description": about} if about else {}
    schema |= _of_type(field.type)
    if field.optional:
        schema["type"] = [schema["type"], "null"]
    return schema


def _of_type(kind: FieldType) -> dict[str, Any]:
    if kind.kind == "decimal":
        unit = 10**kind.scale
        if kind.text:
            return {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}
        return {"type": "number"} | _limits(kind, unit) | {"multipleOf": 1 / unit}
    if kind.kind == "integer":
        return {"type": "integer"} | _limits(kind)
    if kind.kind == "boolean":
        return {"type": "boolean"}
    schema: dict[str, Any] = {"type": "string"}
    if kind.values:
        schema["enum"] = list(kind.values)
    if kind.min_length:
        schema["minLength"] = kind.min_length
    if kind.max_length is not None:
        schema["maxLength"] = kind.max_length
    if kind.pattern is not None:
        schema["pattern"] = f"^(?:{kind.pattern})$" if "|" in kind.pattern else f"^{kind.pattern}$"
    return schema


def _limits(kind: FieldType, unit: int = 1) -> dict[str, Any]:
    limits = {"minimum": (kind.minimum, SMALLEST), "maximum": (kind.maximum, LARGEST)}
    return {name: limit if unit == 1 else limit / unit for name, (limit, default) in limits.items() if limit != default}


def _constants(node: Node) -> list[tuple[str, str]]:
    """Fields that a condition wants to have one text."""
    match node:
        case Operation(sign="and", parts=parts):
            return [found for part in parts for found in _constants(part)]
        case Operation(sign="==", parts=(Name(name=name), Constant(value=str(value)))):
            return [(name, value)]
        case Operation(sign="==", parts=(Constant(value=str(value)), Name(name=name))):
            return [(name, value)]
    return []
