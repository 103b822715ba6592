"""The headers of Fourfold's records, declared once: what writes and reads them, and the AsyncAPI document, use these.

Values are text in UTF-8; numbers are decimal digits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from core.truth import HEADER as TRUTH

#: The header of a redriven record: `topic:partition:offset` of its original.
REFERENCE: Final = "redrive-of"
MOST_DETAIL: Final = 500

_Number = Annotated[str, Meta(pattern="^[0-9]{1,18}$")]
_Topic = Annotated[str, Meta(description="topic of an event")]


class EventHeaders(Struct, rename={"content_type": "content-type", "truth": TRUTH, "redrive_of": REFERENCE}):
    """Of an event. None of them decides what is counted."""

    content_type: str | UnsetType = UNSET
    truth: (
        Annotated[
            str,
            Meta(
                description="JSON array: what the record ought to count for, by its producer; the auditor alone reads it",
                extra_json_schema={"contentMediaType": "application/json"},
            ),
        ]
        | UnsetType
    ) = UNSET
    redrive_of: (
        Annotated[str, Meta(description="topic:partition:offset of the rejected record that this one repairs")]
        | UnsetType
    ) = UNSET


class DeadLetterHeaders(Struct, rename="kebab"):
    """Of a dead letter: where the record was, and why it was rejected."""

    reason: Annotated[str, Meta(description="from the closed list of reasons")]
    detail: Annotated[str, Meta(max_length=MOST_DETAIL, description="what was wrong, for people")]
    source_topic: _Topic
    source_partition: _Number
    source_offset: _Number
    append_ms: Annotated[_Number, Meta(description="append time in ms since 1970; 0: the broker did not stamp it")]
    source_key: Annotated[str, Meta(description="the record's key, its bytes as they were; empty for none")]
    size: Annotated[_Number, Meta(description="length of the value in bytes, of which the beginning is kept")]
    null_value: Annotated[Literal["true", "false"], Meta(description="whether the record had no value")]


class RepairHeaders(Struct, rename="kebab"):
    """Of a repaired event that is kept: where it goes, and what repaired it."""

    topic: _Topic
    key: Annotated[str, Meta(description="key of the event, its user")]
    fix: Annotated[str, Meta(description="name of the fix that repaired it")]
    event_id: Annotated[str, Meta(description="id of the repaired event")]


Headers = TypeVar("Headers", EventHeaders, DeadLetterHeaders, RepairHeaders)


def as_text(value: bytes) -> str:
    """Bytes of any kind as a header's text; `written` makes the same bytes of it."""
    return value.decode("utf-8", "surrogateescape")


def written(headers: EventHeaders | DeadLetterHeaders | RepairHeaders) -> list[tuple[str, bytes]]:
    """The headers as they go into a record."""
    fields: dict[str, str] = msgspec.to_builtins(headers)
    return [(name, text.encode("utf-8", "surrogateescape")) for name, text in fields.items()]


def read(kind: type[Headers], found: Iterable[tuple[str, bytes | None]]) -> Headers:
    """The headers of a record, bytes that are no UTF-8 replaced; others than these are ignored.

    Raises `ValueError` where one is missing or invalid: somebody else made the record.
    """
    fields: dict[str, Any] = {name: value.decode("utf-8", "replace") for name, value in found if value is not None}
    return msgspec.convert(fields, kind)
