"""A response of server-sent events, and how one of them is written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import StreamingResponse


class EventStream(StreamingResponse):
    """Sends frames as they come. Proxies are told to hand them on at once."""

    media_type = "text/event-stream"

    def __init__(self, frames: AsyncIterator[bytes]) -> None:
        super().__init__(frames, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


def documented_stream(event: str) -> dict[str, Any]:
    """The stream for a route's OpenAPI document; `event`: what comes most."""
    example = frame(event, 1, b"{...}").decode()
    content = {EventStream.media_type: {"schema": {"type": "string"}, "example": example}}
    return {"description": "An endless stream of server-sent events.", "content": content}


def frame(event: str, number: int, document: bytes) -> bytes:
    """One event. `document`: JSON in one line; `number` is its id."""
    return b"event: %b\nid: %d\ndata: %b\n\n" % (event.encode(), number, document)
