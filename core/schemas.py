"""The contract for other programs: JSON Schema of each event, and AsyncAPI of the topics.

Generated from `core.events`; `fourfold contract` writes the committed copies in `docs/contract/`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from core.events import CONTENT_TYPE, DEAD_LETTERS, EVENT_OF_TOPIC
from core.verdict import Reason

ASYNCAPI_VERSION: Final = "3.0.0"


def json_schemas() -> dict[str, dict[str, Any]]:
    """File name to JSON Schema (2020-12), one for each event type."""
    return {
        f"{_tag(event)}.schema.json": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            **_bundled(event),
            "title": _tag(event),
        }
        for event in EVENT_OF_TOPIC.values()
    }


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI document of the topics."""
    channels: dict[str, Any] = {
        topic: {
            "address": topic,
            "messages": {_tag(event): {"$ref": f"#/components/messages/{_tag(event)}"}},
        }
        for topic, event in EVENT_OF_TOPIC.items()
    }
    channels[DEAD_LETTERS] = {
        "address": DEAD_LETTERS,
        "messages": {"dead-letter": {"$ref": "#/components/messages/dead-letter"}},
    }
    messages: dict[str, Any] = {
        _tag(event): {
            "contentType": CONTENT_TYPE,
            "payload": {"$ref": f"./{_tag(event)}.schema.json"},
            "bindings": {"kafka": {"key": {"type": "string", "description": "user_id"}}},
        }
        for event in EVENT_OF_TOPIC.values()
    }
    messages["dead-letter"] = {
        "summary": "The bytes of a rejected record; headers say where it was and why.",
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "properties": {"reason": {"type": "string", "enum": [reason.value for reason in Reason]}},
            "required": ["reason"],
        },
        "bindings": {"kafka": {"key": {"type": "string", "description": "topic:partition:offset"}}},
    }
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "info": {"title": "Fourfold", "version": "1.0.0"},
        "channels": channels,
        "operations": {
            f"receive-{topic}": {"action": "receive", "channel": {"$ref": f"#/channels/{topic}"}}
            for topic in EVENT_OF_TOPIC
        },
        "components": {"messages": messages},
    }


def documents() -> dict[str, str]:
    """File name to text, of all documents."""
    content: dict[str, Any] = {**json_schemas(), "asyncapi.json": asyncapi()}
    return {
        name: msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
        for name, document in content.items()
    }


def _tag(event: type[Any]) -> str:
    return str(event.__struct_config__.tag)


def _bundled(event: type[Any]) -> dict[str, Any]:
    schema = msgspec.json.schema(event)
    name = schema.pop("$ref").rsplit("/", 1)[-1]
    definitions: dict[str, Any] = schema["$defs"]
    return {**definitions.pop(name), "$defs": definitions}
