"""The typed form of a stream's documents: what msgspec decodes them to, and how generated code reads it."""

from __future__ import annotations

import keyword
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from core.contract import LONGEST_TIME, SHORTEST_TIME
from core.declaration.pipeline import Field, FieldType, Path, Pipeline

_TIME: Final = Annotated[str, Meta(min_length=SHORTEST_TIME, max_length=LONGEST_TIME)]


class EventType:
    """Of one stream.

    Attributes:
        struct: What documents are decoded to. It refuses more than it must (a name given twice with a wrong earlier
            value) and checks neither patterns nor decimals: only the judge says no.
    """

    def __init__(self, pipeline: Pipeline, stream: str) -> None:
        envelope, fields = pipeline.envelope, pipeline.streams[stream].fields.values()
        #: by path: its type, and whether it may be absent
        self._leaves: dict[Path, tuple[Any, bool]] = {}
        if envelope.cloudevents:
            self._leaves["type",] = (Literal[pipeline.streams[stream].event], False)
        self._add(*envelope.fields)
        if envelope.time is not None:
            self._leaves[envelope.time] = (_TIME if envelope.time_format == "rfc3339" else int, False)
        self._add(*fields)
        objects = {path[:depth] for path in self._leaves for depth in range(1, len(path))}
        #: objects that may be absent, since all in them may
        self._optional = {each for each in objects if all(self._leaves[path][1] for path in self._below(each))}
        self.struct: type[msgspec.Struct] = self._struct(())

    def base(self, fields: list[Field]) -> Path:
        """The innermost object that holds all these fields, and is always there."""
        paths = [field.path[:-1] for field in fields]
        base: Path = ()
        while all(len(path) > len(base) for path in paths) and paths:
            further = paths[0][: len(base) + 1]
            if further in self._optional or any(path[: len(further)] != further for path in paths):
                break
            base = further
        return base

    def raw(self, path: Path, variable: str, below: int = 0) -> str:
        """Python source of what is at a path; None where it is absent.

        Args:
            path: Of a leaf.
            variable: The event, or the object in it at the first `below` parts of the path.
            below: See there.
        """
        source, absent = variable, []
        for depth, part in enumerate(path[below:], below + 1):
            source = f"{source}.{attribute(part)}"
            if path[:depth] in self._optional:
                absent.append(f"(_o{depth} := {source}) is None")
                source = f"_o{depth}"
        return f"(None if {' or '.join(absent)} else {source})" if absent else source

    def value(self, field: Field, variable: str, below: int = 0) -> str:
        """As `raw`, of a field's value as expressions see it: a decimal is its scaled integer."""
        raw = self.raw(field.path, variable, below)
        if field.type.kind != "decimal":
            return raw
        held = f"_d_{field.name}"
        scaled = f"scaled_{field.name}[{held}]" if field.type.text else f"round({held} * {10**field.type.scale})"
        return f"(None if ({held} := {raw}) is None else {scaled})"

    def _add(self, *fields: Field) -> None:
        for field in fields:
            self._leaves[field.path] = (_annotated(field.type), field.optional)

    def _below(self, prefix: Path) -> list[Path]:
        return [path for path in self._leaves if path[: len(prefix)] == prefix]

    def _struct(self, prefix: Path) -> type[msgspec.Struct]:
        members: dict[str, tuple[Any, bool]] = {}
        for path in self._below(prefix):
            name, further = path[len(prefix)], path[: len(prefix) + 1]
            if further in self._leaves:
                members[name] = self._leaves[path]
            elif name not in members:
                members[name] = (self._struct(further), further in self._optional)
        return msgspec.defstruct(
            "_".join(("Event", *map(attribute, prefix))),
            # msgspec wants those with a default last
            [(attribute(name), kind) for name, (kind, optional) in members.items() if not optional]
            + [(attribute(name), kind | None, None) for name, (kind, optional) in members.items() if optional],
            rename={attribute(name): name for name in members},
            gc=False,
        )


def attribute(name: str) -> str:
    """The attribute that stands for a name of JSON, which may be any text."""
    if name.isidentifier() and name.isascii() and not keyword.iskeyword(name) and not name.startswith("_"):
        return name
    return "x_" + name.encode().hex()


def _annotated(wanted: FieldType) -> Any:
    if wanted.kind == "boolean":
        return bool
    if wanted.kind == "integer":
        return Annotated[int, Meta(ge=wanted.minimum, le=wanted.maximum)]
    if wanted.kind == "decimal":
        return str if wanted.text else float
    if wanted.values:
        return Literal[wanted.values]
    return Annotated[str, Meta(min_length=wanted.min_length or None, max_length=wanted.max_length)]
