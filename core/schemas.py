"""The contract for other programs: JSON Schema of each event, generated from `core.events`.

`adapters.kafka.asyncapi` says the rest; `fourfold contract` writes the committed copies in `docs/contract/`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from core.events import EVENT_OF_TOPIC


def json_schemas() -> dict[str, dict[str, Any]]:
    """File name to JSON Schema (2020-12), one for each event type."""
    return {
        f"{tag_of(event)}.schema.json": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            **_bundled(event),
            "title": tag_of(event),
        }
        for event in EVENT_OF_TOPIC.values()
    }


def tag_of(event: type[Any]) -> str:
    """The type that events of this kind name: fourfold.click.v1."""
    return str(event.__struct_config__.tag)


def _bundled(event: type[Any]) -> dict[str, Any]:
    schema = msgspec.json.schema(event)
    name = schema.pop("$ref").rsplit("/", 1)[-1]
    definitions: dict[str, Any] = schema["$defs"]
    return {**definitions.pop(name), "$defs": definitions}
