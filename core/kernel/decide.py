"""decide: bytes of records to events or rejections, in bulk, by code that is made from the declaration.

The made loop only says yes, and doubts otherwise; what it doubts is judged (`core.kernel.judge`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from core.contract import DEEPEST, FUTURE_LIMIT_MS, OLDEST_MS, UNSTAMPED_MS
from core.declaration.pipeline import EXACT, TIME_UNITS, Field, Pipeline
from core.kernel.event_type import EventType
from core.kernel.json_document import is_sound
from core.kernel.judge import Judge, decimal_of
from core.kernel.python_source import source_of
from core.rfc3339 import millis
from core.verdict import Rejected

#: At most this many texts that match a pattern are kept.
_KNOWN_LIMIT: Final = 1 << 16


class Rejection(NamedTuple):
    """Why a record is rejected. `place`: among all records."""

    place: int
    reason: str
    detail: str


class Decided(NamedTuple):
    """What became of records, in their order.

    Attributes:
        events: Of the accepted ones, as `Decide.event` structs.
        times: Their event times, ms since 1970.
        rejected: Of the others.
    """

    events: list[Any]
    times: list[int]
    rejected: list[Rejection]


class Doubt(Exception):  # noqa: N818 - not an error: the judge is asked
    """The fast loop cannot say yes."""


#: What decoding raises for bytes that it takes for no event, and `Doubt`.
DOUBTS: Final = (Doubt, msgspec.DecodeError, UnicodeDecodeError, TypeError, ValueError, RecursionError, OverflowError)


class Decide:
    """Decides on the records of one stream.

    Attributes:
        event: How documents are decoded.
        source: The code that was made.
    """

    def __init__(self, pipeline: Pipeline, stream: str) -> None:
        self.event = EventType(pipeline, stream)
        self._pipeline, self._stream = pipeline, pipeline.streams[stream]
        self._judge = Judge(pipeline, stream)
        #: by field with a pattern: texts that match it
        self._known: dict[str, set[str]] = {f.name: set() for f in self._stream.fields.values() if f.type.pattern}
        self.source = self._source()
        scope: dict[str, Any] = {
            "decode": msgspec.json.Decoder(self.event.struct).decode,
            "again": self._again,
            "is_sound": is_sound,
            "millis": millis,
            "known_time": millis.get,
            "Doubt": Doubt,
            "DOUBTS": DOUBTS,
            "Rejected": Rejected,
            "Rejection": Rejection,
            **{f"known_{name}": texts for name, texts in self._known.items()},
            **self.scaled,
        }
        exec(compile(self.source, f"<decide {pipeline.name}.{stream}>", "exec"), scope)  # noqa: S102 - of checked nodes
        self._all: Callable[..., tuple[Any, ...]] = scope["decide_all"]

    def all(self, values: Sequence[bytes | None], appended: Sequence[int]) -> Decided:
        """What becomes of records.

        Args:
            values: Their values.
            appended: Their append times in ms (`core.contract.append_time`).
        """
        return Decided(*self._all(values, appended))

    def one(self, value: bytes | None, append_ms: int) -> tuple[int, Any]:
        """Event time in ms, and event, of one record. Raises `Rejected`."""
        events, times, rejected = self._all((value,), (append_ms,))
        if rejected:
            raise Rejected(rejected[0].reason, rejected[0].detail)
        return times[0], events[0]

    @property
    def scaled(self) -> dict[str, _Scaled]:
        """What generated code calls to read decimals that come as texts."""
        return {
            f"scaled_{field.name}": _Scaled(field)
            for field in self._stream.fields.values()
            if field.type.kind == "decimal" and field.type.text
        }

    def _again(self, value: bytes | None, append_ms: int) -> tuple[Any, int]:
        """What the fast loop doubts: the event and its time. Raises `Rejected`."""
        judged = self._judge.judge(value, append_ms)
        for name, known in self._known.items():
            if (text := judged.values[name]) is not None:
                if len(known) >= _KNOWN_LIMIT:
                    known.clear()
                known.add(text)
        return msgspec.convert(judged.document, self.event.struct), judged.time_ms

    def _source(self) -> str:
        envelope = self._pipeline.envelope
        if envelope.time is None:
            time, timely = "append_ms", f"append_ms != {UNSTAMPED_MS}"
        else:
            given = self.event.raw(envelope.time, "e")
            if envelope.time_format == "rfc3339":
                # get is faster than [] of a dictionary that knows what is missing
                time = f"known_time({given}, 0) or millis[{given}]"
            else:
                multiplier, divisor = TIME_UNITS[envelope.time_format]
                time = f"{given} * {multiplier} // {divisor}"
            timely = f"{OLDEST_MS} <= time_ms <= append_ms + {FUTURE_LIMIT_MS}"
            # so a record without an append time, which is 0, does not pass
        checks = " and ".join(
            [timely, *self._checks(), f"(len(value) < {2 * DEEPEST} and value.isascii() or is_sound(value))"]
        )
        return _DECIDE_ALL.replace("TIME", time).replace("CHECKS", checks)

    def _checks(self) -> list[str]:
        """What decoding does not check, as conditions on an event `e`."""
        checks = []
        for field in self._stream.fields.values():
            raw = self.event.raw(field.path, "e")
            if field.type.pattern:
                checks.append(f"(_v := {raw}) in known_{field.name}")
            elif field.type.kind == "decimal":
                checks.append(_decimal_check(field, raw))
            else:
                continue
            if field.optional:
                checks[-1] = f"({checks[-1]} or _v is None)"
        for rule in self._stream.rules:
            root = rule.condition.root
            source = source_of(root, lambda name: self.event.value(self._stream.fields[name], "e"))
            checks.append(f"({source}) is not False" if root.nullable else source)
        return checks


class _Scaled(dict[str, int]):
    """Decimals that come as texts, to scaled integers. Raises `Doubt` where the judge has to say."""

    def __init__(self, field: Field) -> None:
        super().__init__()
        self._field = field

    def __missing__(self, text: str) -> int:
        try:
            scaled = decimal_of(text, self._field.type, "$")
        except Rejected:
            raise Doubt from None
        if len(self) >= _KNOWN_LIMIT:
            self.clear()
        self[text] = scaled
        return scaled


def _decimal_check(field: Field, raw: str) -> str:
    wanted = field.type
    if wanted.text:
        return f"((_v := {raw}) is not None and scaled_{field.name}[_v] is not None)"
    unit = 10**wanted.scale
    exact = f"abs(_v) * {unit} <= {EXACT} and (_n := round(_v * {unit})) / {unit} == _v"
    return f"((_v := {raw}) is not None and {exact} and {wanted.minimum} <= _n <= {wanted.maximum})"


_DECIDE_ALL: Final = """\
def decide_all(values, appended):
    events, times, rejected = [], [], []
    for append_ms, value in zip(appended, values, strict=True):
        try:
            e = decode(value)
            time_ms = TIME
            if not (CHECKS):
                raise Doubt
        except DOUBTS:
            try:
                e, time_ms = again(value, append_ms)
            except Rejected as error:
                # not the error: it holds this frame, and all records with it
                rejected.append(Rejection(len(events) + len(rejected), error.reason, error.detail))
                continue
        events.append(e)
        times.append(time_ms)
    return events, times, rejected
"""
