"""A response of server-sent events, and how one of them is written."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.responses import StreamingResponse


class EventStream(StreamingResponse):
    """Sends frames as they come. Proxies are told to hand them on at once."""

    media_type = "text/event-stream"

    def __init__(self, frames: AsyncIterator[bytes]) -> None:
        super().__init__(frames, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


def frame(event: str, number: int, document: bytes) -> bytes:
    """One event. `document`: JSON in one line; `number` is its id."""
    return b"event: %b\nid: %d\ndata: %b\n\n" % (event.encode(), number, document)
