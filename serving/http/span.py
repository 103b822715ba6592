"""A span of event time, as requests give it."""

from __future__ import annotations

import re
from typing import Annotated, Final, NamedTuple

from fastapi import Query
from pydantic import Field, WithJsonSchema

from core.cells import MINUTE_MS
from core.rfc3339 import millis, to_text
from core.rollup import Grain
from serving.http.problem import wrong

#: The first minute that can be asked for (1970-01-01), and the first that cannot (2200-01-01).
_FIRST: Final = 0
_LAST: Final = 120_967_200
#: Minutes back, at most a hundred years.
MOST_BACK: Final = 52_560_000
_BACK: Final = re.compile(r"[0-9]{1,8}", re.ASCII)

Moment = Annotated[
    str,
    Field(max_length=40),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": MOST_BACK},
                {"type": "string", "format": "date-time"},
            ]
        }
    ),
]
Start = Annotated[
    Moment | None,
    Query(
        description="From this minute of event time on: an RFC 3339 time, or so many minutes back (`60`: the last hour, "
        "the current minute included).",
        openapi_examples={"back": {"value": "60"}, "time": {"value": "2026-01-31T23:00:00Z"}},
    ),
]
End = Annotated[
    Moment | None,
    Query(
        description="Up to here: an RFC 3339 time (a minute that has begun by then is included), or so many minutes "
        "back. Left out: up to now.",
        openapi_examples={"now": {"value": "0"}, "time": {"value": "2026-01-31T23:59:00Z"}},
    ),
]


class Span(NamedTuple):
    """Minutes since 1970, `start` included and `end` left out."""

    start: int
    end: int

    def text(self) -> dict[str, str]:
        """As answers say it."""
        return {"start": minute_text(self.start), "end": minute_text(self.end)}


def span(start: str | None, end: str | None, now: int, back: int | None) -> Span:
    """The span of a request at minute `now`; without a start the last `back` minutes, or all.

    Raises `ProblemError` that names the parameter.
    """
    first = _FIRST
    if start is not None:
        first = _minute("start", start, now, up=False)
    last = now + 1 if end is None else _minute("end", end, now, up=True)
    if start is None and back is not None:
        first = max(_FIRST, last - back)
    if first >= last:
        raise wrong("start", f"{minute_text(first)} is not before the end, {minute_text(last)}")
    return Span(first, last)


def kept(when: Span, grain: Grain, step: int = 1) -> Span:
    """The span, if what is kept of event time can answer it. Raises `ProblemError` that names the parameter.

    `step`: minutes from one point to the next.
    """
    for name, minute in (("start", when.start), ("end", when.end)):
        if refusal := grain.refusal(name, minute):
            raise wrong(name, refusal)
    width = grain.width(when.start)
    if step % width:
        raise wrong(
            "step", f"before {minute_text(grain.hours_below)} this view keeps no minutes: take a multiple of {width}"
        )
    return when


def minute_text(minute: int) -> str:
    """RFC 3339, UTC."""
    return to_text(minute * MINUTE_MS)


def _minute(name: str, text: str, now: int, *, up: bool) -> int:
    if _BACK.fullmatch(text):
        back = int(text)
        if back > MOST_BACK:
            raise wrong(name, f"{back} minutes are more than {MOST_BACK}")
        return max(_FIRST, now + 1 - back)
    try:
        ms = millis[text]
    except ValueError as error:
        raise wrong(
            name, f"neither minutes back nor an RFC 3339 time such as 2026-01-31T23:59:00Z ({error}; a + is %2B)"
        ) from None
    minute = -(-ms // MINUTE_MS) if up else ms // MINUTE_MS
    if not _FIRST <= minute < _LAST:
        raise wrong(name, "not a time between 1970 and 2200")
    return minute
