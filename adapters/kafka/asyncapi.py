"""The AsyncAPI document of the topics, generated from what writes and reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from adapters.kafka.cut import CLOCK, CLOCK_CONFIG
from adapters.kafka.headers import DeadLetterHeaders, EventHeaders, RepairHeaders
from adapters.kafka.topics import EVENT_CONFIG, LETTER_CONFIG
from core.declaration.pipeline import Pipeline, Stream
from core.events import DEAD_LETTERS, REPAIRS
from core.schemas import json_schemas

ASYNCAPI_VERSION: Final = "3.0.0"
_PLACE: Final = "topic:partition:offset of the record"


def asyncapi(pipeline: Pipeline) -> dict[str, Any]:
    """The AsyncAPI document of the topics of a pipeline."""
    content_type = pipeline.envelope.content_type
    streams = pipeline.streams.values()
    topics = {"enum": list(pipeline.topics)}
    messages = {stream.document: _event(stream, content_type) for stream in streams}
    messages |= {
        "dead-letter": _message(
            "The bytes of a rejected record; headers say where it was and why.",
            "application/octet-stream",
            _PLACE,
            DeadLetterHeaders,
            source_topic=topics,
            reason={"enum": sorted(pipeline.reasons)},
        ),
        "repair": _message(
            "A dead letter put right: the event that goes back into the stream.",
            content_type,
            f"{_PLACE}, @, and its append time in ms since 1970",
            RepairHeaders,
            topic=topics,
        )
        | {"payload": {"oneOf": [{"$ref": f"./{stream.document}.schema.json"} for stream in streams]}},
        "redriven": _message(
            "The word that a repair went back into the stream, in one transaction with it: the event's id.",
            "text/plain",
            "the word redriven, a space, and the key of the repair",
        )
        | {"payload": {"type": "string"}},
        "tick": _message("Nothing: the broker's time is in the acknowledgement.", "text/plain", f"the word {CLOCK}")
        | {"payload": {"type": "string", "maxLength": 0}},
    }
    of_topic: dict[str, tuple[str, Mapping[str, str], list[str]]] = {
        stream.name: (f"Events of the type {stream.document}.", EVENT_CONFIG, [stream.document]) for stream in streams
    }
    of_topic |= {
        DEAD_LETTERS: ("Records that break the contract, one letter for each.", LETTER_CONFIG, ["dead-letter"]),
        REPAIRS: ("Dead letters put right, and which of them went back.", LETTER_CONFIG, ["repair", "redriven"]),
        CLOCK: ("Asked for the broker's time; what is in it is read by nobody.", CLOCK_CONFIG, ["tick"]),
    }
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "info": {
            "title": "Fourfold",
            "version": "1.0.0",
            "description": "What Fourfold sends to Kafka and receives from it. Fields and headers that are not named here "
            "are ignored; a record of somebody else on dead-letters or repairs is left out and counted.",
            "license": {"name": "Apache 2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": content_type,
        "servers": {
            "kafka": {
                "host": "{bootstrap}",
                "protocol": "kafka",
                "description": "Where FOURFOLD_KAFKA says.",
                "variables": {"bootstrap": {"default": "127.0.0.1:9092", "description": "host:port"}},
            }
        },
        "channels": {topic: _channel(pipeline, topic, *rest) for topic, rest in of_topic.items()},
        "operations": {
            f"{action}-{topic}": _operation(action, topic, names)
            for topic, (_, _, names) in of_topic.items()
            for action in (("send",) if topic == CLOCK else ("send", "receive"))
        },
        "components": {"messages": messages},
    }


def documents(pipeline: Pipeline) -> dict[str, str]:
    """File name to text, of all documents of a pipeline's contract."""
    content: dict[str, Any] = {**json_schemas(pipeline), "asyncapi.json": asyncapi(pipeline)}
    return {
        name: msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
        for name, document in content.items()
    }


def _event(stream: Stream, content_type: str) -> dict[str, Any]:
    summary, key = f"An event on the topic {stream.name}.", stream.key or "any"
    message = _message(summary, content_type, key, EventHeaders, content_type={"const": content_type})
    return message | {"payload": {"$ref": f"./{stream.document}.schema.json"}}


def _message(
    summary: str, media_type: str, key: str, headers: type[Struct] | None = None, **limits: Mapping[str, Any]
) -> dict[str, Any]:
    """`limits`: by field of the headers, what the pipeline says of it."""
    message: dict[str, Any] = {
        "summary": summary,
        "contentType": media_type,
        "bindings": {"kafka": {"key": {"type": "string", "description": key}, "bindingVersion": "0.5.0"}},
    }
    if headers is not None:
        message["headers"] = _inlined(headers)
        names = dict(zip(headers.__struct_fields__, headers.__struct_encode_fields__, strict=True))
        for field, limit in limits.items():
            properties = message["headers"]["properties"]
            about = properties[names[field]]
            first = {name: said for name, said in about.items() if name == "description"}
            properties[names[field]] = first | dict(limit) | about
    return message


def _inlined(headers: type[Struct]) -> dict[str, Any]:
    """The JSON Schema of headers without references: they would be taken for those of the whole document."""
    schema = msgspec.json.schema(headers)
    definitions = schema["$defs"]

    def inlined(value: Any) -> Any:
        if isinstance(value, dict):
            if reference := value.get("$ref"):
                rest = {name: of for name, of in value.items() if name != "$ref"}
                return inlined(definitions[reference.rsplit("/", 1)[-1]]) | rest
            return {name: inlined(of) for name, of in value.items() if name != "title"}
        return [inlined(of) for of in value] if isinstance(value, list) else value

    made: dict[str, Any] = inlined({"$ref": schema["$ref"]})
    return made


def _channel(
    pipeline: Pipeline, topic: str, summary: str, config: Mapping[str, str], names: list[str]
) -> dict[str, Any]:
    policy = {"cleanup.policy": config["cleanup.policy"].split(",")}
    numbers = {name: int(config[name]) for name in ("retention.ms", "max.message.bytes") if name in config}
    kafka: dict[str, Any] = {"topic": topic, "topicConfiguration": policy | numbers, "bindingVersion": "0.5.0"}
    if topic not in pipeline.streams:
        kafka["partitions"] = 1
    return {
        "address": topic,
        "summary": summary,
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {"kafka": kafka},
    }


def _operation(action: str, topic: str, names: list[str]) -> dict[str, Any]:
    return {
        "action": action,
        "summary": f"Fourfold {'writes to' if action == 'send' else 'reads'} the topic {topic}.",
        "channel": {"$ref": f"#/channels/{topic}"},
        "messages": [{"$ref": f"#/channels/{topic}/messages/{name}"} for name in names],
    }
