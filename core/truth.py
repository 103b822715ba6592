"""The truth ledger's entry: what a record ought to count for, said by its producer in a header.

No layer of the pipeline reads it; only the auditor does. This module shares no code with
`core.contract`, `core.partition` and `core.kernel`: it is their independent witness.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from core.declaration.pattern import longest_text
from core.declaration.pipeline import Dimension, Measure, Pipeline, Stream
from core.event_bounds import bounds_of

#: Name of the Kafka header.
HEADER: Final = "truth"

Verdict = Literal["accepted", "duplicate", "rejected"]
# No record counts for more: a header that says so is no claim. It also keeps sums below 64 bits.
_LONGEST: Final = 64
Text = Annotated[str, Meta(max_length=_LONGEST)]
Word = Annotated[str, Meta(max_length=40)]
Number = Annotated[int, Meta(ge=0, le=2**62)]
Millis = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]
Hour = Annotated[int, Meta(ge=-1, le=23)]


class Claim(Struct, array_like=True, gc=False, frozen=True):
    """What one record ought to count for; `Claims` adds what the pipeline counts.

    `(run, number)` identifies the event: a duplicate repeats that of its original. A record that
    must be rejected has a number of its own and a `reason` (one of `Pipeline.reasons`).
    `time_ms` is the event time, `late` whether it was delayed by more than the allowed lateness.
    """

    run: Text
    number: Number
    verdict: Verdict
    reason: Word = ""
    late: bool = False
    time_ms: Millis = 0


class Claims:
    """The claims of one pipeline.

    In the header a claim is a JSON array of about 120 bytes: the fields of `Claim`, what an accepted event adds to each
    measure, its value of each dimension (null where it has none), its user (of the pipeline's distinct count), and the
    hour of the day profile, -1 without one.

    Attributes:
        type: Of a claim; attributes are named as the measures and dimensions, with a `_` where `Claim` has the name.
        measures: Claim to what it adds, in declared order.
        dimensions: Claim to its values, in declared order.
        user: Claim to who did it.
        hour: Claim to the hour of the day profile, -1 without one.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        taken = {*Claim.__struct_fields__, "user", "hour"}
        measures = [_free(name, taken) for name in pipeline.measures]
        dimensions = [_free(name, taken) for name in pipeline.dimensions]
        added, values = (
            map(_added, pipeline.measures.values()),
            (_value(pipeline, name) for name in pipeline.dimensions),
        )
        fields: list[tuple[str, Any, Any]] = [
            *((name, kind, 0) for name, kind in zip(measures, added, strict=True)),
            *((name, kind, "") for name, kind in zip(dimensions, values, strict=True)),
            ("user", Text, ""),
            ("hour", Hour, -1),
        ]
        self.type: Any = msgspec.defstruct(
            "Claim", fields, bases=(Claim,), array_like=True, gc=False, frozen=True, module=__name__
        )
        self._decoder = msgspec.json.Decoder(self.type)
        self._encoder = msgspec.json.Encoder()
        self.measures: Callable[[Claim], tuple[int, ...]] = _getter(measures)
        self.dimensions: Callable[[Claim], tuple[str | None, ...]] = _getter(dimensions)
        self.user: Callable[[Claim], str] = attrgetter("user")
        self.hour: Callable[[Claim], int] = attrgetter("hour")

    def accepted(
        self,
        run: str,
        number: int,
        time_ms: int,
        *,
        measures: Sequence[int],
        dimensions: Sequence[str | None],
        user: str,
    ) -> Claim:
        """The claim about an event that counts; `measures` and `dimensions` in declared order."""
        made: Claim = self.type(run, number, "accepted", "", False, time_ms, *measures, *dimensions, user)
        return made

    def encode(self, claim: Claim) -> bytes:
        """The header's value."""
        return self._encoder.encode(claim)

    def decode(self, value: bytes) -> Claim | None:
        """The claim in a header's value; None where it is not one (the record is not audited)."""
        try:
            found: Any = self._decoder.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        claim: Claim = found
        return claim


def _free(name: str, taken: set[str]) -> str:
    return f"{name}_" if name in taken else name


def _added(measure: Measure) -> Any:
    bounds = bounds_of(measure)
    # events of other streams add nothing
    return Annotated[int, Meta(ge=min(0, bounds.least), le=max(0, bounds.most))]


def _value(pipeline: Pipeline, name: str) -> Any:
    streams = [stream for stream in pipeline.streams.values() if pipeline.dimensions[name].of(stream)]
    longest = [_longest(stream, pipeline.dimensions[name]) for stream in streams]
    limit = None if None in longest else max(_LONGEST, *(length or 0 for length in longest))
    text = Annotated[str, Meta(max_length=limit)]
    return text if all(pipeline.always_has(stream, name) for stream in pipeline.streams) else text | None


def _longest(stream: Stream, dimension: Dimension) -> int | None:
    """Characters of a value, at most; None where nothing limits it but the size of a record."""
    kinds = [stream.fields[name].type for name in dimension.fields]
    if len(kinds) > 1:
        return None
    if kinds[0].kind != "string":
        return _LONGEST
    if kinds[0].values:
        return max(map(len, kinds[0].values))
    return longest_text(kinds[0].pattern) if kinds[0].pattern else kinds[0].max_length


def _getter(names: Sequence[str]) -> Callable[[Claim], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    if not names:
        return lambda _: ()
    get = attrgetter(names[0])
    return lambda claim: (get(claim),)
