"""Types and fields of a declaration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from core.declaration.error import Mistake, nearest
from core.declaration.expression import LARGEST, SMALLEST
from core.declaration.pattern import PatternError, compiled
from core.declaration.pipeline import EXACT, Field, FieldType, Path
from core.declaration.table import Table

KINDS: Final = ("string", "integer", "decimal", "boolean")
LARGEST_SCALE: Final = 9
LONGEST_TEXT: Final = 1 << 20
_CLASSES: Final = ("personal", "public")


def field_type(table: Table, named: Mapping[str, FieldType]) -> FieldType:
    """The type that a table declares, or the named one that it refers to. Raises `Mistake`."""
    kind = table.take("type", str)
    if kind in named:
        return named[kind]
    if kind not in KINDS:
        raise Mistake((*table.place, "type"), f"there is no type {kind!r}: {nearest(kind, [*named, *KINDS])}")
    description = table.take("description", str, "")
    if kind == "string":
        return _string(table, description)
    if kind == "integer":
        low, high = _limits(table, int, SMALLEST, LARGEST)
        return FieldType("integer", low, high, description=description)
    if kind == "decimal":
        return _decimal(table, description)
    return FieldType("boolean", description=description)


def field(name: str, table: Table, named: Mapping[str, FieldType], base: Path) -> Field:
    """A field of a stream; its path is `name` below `base` where it has none. Raises `Mistake`."""
    description = table.take("description", str, "")
    classification = table.take("classification", str, "public")
    if classification not in _CLASSES:
        place = (*table.place, "classification")
        raise Mistake(place, f"there is no classification {classification!r}: {nearest(classification, _CLASSES)}")
    path = pointer(table, "path", f"/{name}")
    found = Field(
        name,
        base + path,
        field_type(table, named),
        optional=table.take("optional", bool, default=False),
        personal=classification == "personal",
        description=description,
    )
    table.finish()
    return found


def pointer(table: Table, key: str, default: str | None = None) -> Path:
    """The parts of a JSON pointer. Raises `Mistake`."""
    text = table.take(key, str) if default is None else table.take(key, str, default)
    if not text.startswith("/"):
        raise Mistake((*table.place, key), f"{key} must be a JSON pointer such as /user/id, not {text!r}")
    parts = tuple(part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/")) if text != "/" else ()
    if "" in parts:
        raise Mistake((*table.place, key), f"{key} has an empty part: {text!r}")
    return parts


def _string(table: Table, description: str) -> FieldType:
    low, high = _limits(table, int, 0, LONGEST_TEXT, "minLength", "maxLength")
    pattern = table.take("pattern", str, None)
    if pattern is not None:
        try:
            compiled(pattern)
        except PatternError as error:
            raise Mistake((*table.place, "pattern"), str(error)) from None
    values = table.take("enum", list, [])
    if not all(isinstance(value, str) for value in values) or len(set(values)) < len(values):
        raise Mistake((*table.place, "enum"), "enum must be a list of different texts")
    limit = high if "maxLength" in table else None
    return FieldType(
        "string", min_length=low, max_length=limit, pattern=pattern, values=tuple(values), description=description
    )


def _decimal(table: Table, description: str) -> FieldType:
    scale = table.take("scale", int)
    if not 0 <= scale <= LARGEST_SCALE:
        raise Mistake((*table.place, "scale"), f"scale must be from 0 to {LARGEST_SCALE}, not {scale}")
    unit = 10**scale
    low, high = _limits(table, float, -EXACT // unit, EXACT // unit)
    scaled = round(low * unit), round(high * unit)
    for key, number, whole in zip(("minimum", "maximum"), (low, high), scaled, strict=True):
        if abs(whole) > EXACT or whole / unit != number:
            place = (*table.place, key)
            raise Mistake(place, f"{key} must have at most {scale} decimals and be at most {EXACT // unit:,}")
    return FieldType(
        "decimal", *scaled, scale=scale, text=table.take("text", bool, default=False), description=description
    )


def _limits(
    table: Table, kind: type[Any], lowest: int, highest: int, low_key: str = "minimum", high_key: str = "maximum"
) -> tuple[Any, Any]:
    low, high = table.take(low_key, kind, lowest), table.take(high_key, kind, highest)
    for key, number in ((low_key, low), (high_key, high)):
        if not lowest <= number <= highest:
            raise Mistake((*table.place, key), f"{key} must be from {lowest:,} to {highest:,}")
    if low > high:
        raise Mistake((*table.place, low_key), f"{low_key} {low} is above {high_key} {high}")
    return low, high
