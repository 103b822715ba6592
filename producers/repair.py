"""Repair: a dead letter's document, changed by the first fix that makes it a valid event."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from functools import singledispatch
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from adapters.kafka.dead_letters import FoundLetter
from adapters.kafka.repairs import Repair
from core.contract import DECODE_ERRORS
from core.declaration.evaluation import value_of
from core.declaration.pipeline import TIME_UNITS, Envelope, Field, Measure, Pipeline
from core.events import REDRIVE_OF
from core.kernel.kernel import Kernel
from core.rfc3339 import millis, to_text
from core.truth import Claim, Claims
from core.verdict import Rejected
from producers import repair_rules as rules

#: Euros as they were written: 12.9 is not 12.900000000000000355.
_decode: Final = msgspec.json.Decoder(float_hook=Decimal).decode
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode
#: An id that a generator gave: its run and the number in it.
_MADE_ID: Final = re.compile(r"([A-Za-z0-9._-]{1,32})-([1-9][0-9]{0,17})")

Document = dict[str, Any]


class Unrepaired(NamedTuple):
    """A letter that no fix made valid, and why: what the last fix that fitted came to."""

    letter: FoundLetter
    why: str


class _Draft:
    """A letter on its way: its document, and the topic it goes to."""

    def __init__(self, letter: FoundLetter, document: Document) -> None:
        self.letter = letter
        self.document = document
        self.topic = letter.source.topic

    def parent(self, place: str) -> tuple[Document, str]:
        """The object that has the field, and the field's name. Raises `_StepError`."""
        *folders, name = place.split(".")
        found = self.document
        for folder in folders:
            found = found.get(folder)  # type: ignore[assignment]
            if not isinstance(found, dict):
                raise _StepError(f"there is no object {folder} in the document")
        return found, name

    def change(self, place: str, new: Callable[[Any], Any]) -> None:
        """A field that exists gets another value. Raises `_StepError`."""
        fields, name = self.parent(place)
        if name not in fields:
            raise _StepError(f"there is no {place}")
        fields[name] = new(fields[name])

    def filled(self, value: rules.Scalar) -> rules.Scalar:
        """A text with its placeholders filled in."""
        if not isinstance(value, str):
            return value
        place = f"{self.letter.source.topic}-{self.letter.source.partition}-{self.letter.offset}"
        return value.replace("{place}", place).replace("{appended}", to_text(self.letter.append_ms))


class _StepError(Exception):
    """A step does not fit the document; the text says why."""


def repair(letter: FoundLetter, fixes: Sequence[rules.Fix], kernel: Kernel, now_ms: int) -> Repair | Unrepaired:
    """The repaired event, valid if appended at `now_ms` (ms since 1970), or why there is none."""
    why = "no fix is for it"
    for fix in fixes:
        if not fix.fits(letter.source.topic, letter.reason, letter.detail):
            continue
        try:
            return _applied(letter, fix, kernel, now_ms)
        except _StepError as error:
            why = f"{fix.name}: {error}"
        except Rejected as rejected:
            why = f"{fix.name}: still {rejected}"
    return Unrepaired(letter, why)


def still_valid(repaired: Repair, kernel: Kernel, now_ms: int) -> Rejected | None:
    """Why a repaired event would be rejected at `now_ms`; None where it would not."""
    try:
        kernel[repaired.topic].decide.one(repaired.value, now_ms)
    except Rejected as rejected:
        return rejected
    return None


def claim_of(repaired: Repair, pipeline: Pipeline, claims: Claims) -> Claim:
    """What the repaired event ought to count for: read from its document, not from what the kernel makes of it.

    The id is what makes an event the same as another: an id of the generator is its run and number.
    """
    document, stream = _decode(repaired.value), pipeline.streams[repaired.topic]
    made_id = _MADE_ID.fullmatch(repaired.event_id)
    if made_id:
        run, number = made_id[1], int(made_id[2])
    else:
        run, number = "id", int.from_bytes(blake2b(repaired.event_id.encode(), digest_size=8).digest()) >> 2
    values = {name: _value(document, field) for name, field in stream.fields.items()}
    users = pipeline.distinct_users
    return claims.accepted(
        run,
        number,
        _time_ms(document, pipeline.envelope, repaired.append_ms),
        measures=[
            _added(measure, values) if measure.stream == stream.name else 0 for measure in pipeline.measures.values()
        ],
        dimensions=[_dimension(each.fields, values) for each in pipeline.dimensions.values()],
        user="" if users is None else str(values.get(users.field, "")),
    )


def _value(document: Any, field: Field) -> Any:
    """A field's value as expressions see it, None where it is absent."""
    for part in field.path:
        document = document.get(part) if isinstance(document, dict) else None
    if document is None or field.type.kind != "decimal":
        return document
    return round(Decimal(document) * 10**field.type.scale)


def _added(measure: Measure, values: Mapping[str, Any]) -> int:
    if measure.where is not None and value_of(measure.where, values) is not True:
        return 0
    return 1 if measure.sum is None else int(value_of(measure.sum, values) or 0)


def _dimension(names: Sequence[str], values: Mapping[str, Any]) -> str | None:
    found = [values.get(name) for name in names]
    if None in found:
        return None
    if len(found) > 1:
        return _encode(found).decode()
    return found[0] if isinstance(found[0], str) else _encode(found[0]).decode()


def _time_ms(document: Any, envelope: Envelope, append_ms: int) -> int:
    if envelope.time is None:
        return append_ms
    for part in envelope.time:
        document = document[part]
    if envelope.time_format == "rfc3339":
        return millis[document]
    multiplier, divisor = TIME_UNITS[envelope.time_format]
    return int(document) * multiplier // divisor


def _applied(letter: FoundLetter, fix: rules.Fix, kernel: Kernel, now_ms: int) -> Repair:
    try:
        document = _decode(letter.value or b"")
    except DECODE_ERRORS as error:
        raise _StepError(f"no JSON to repair: {error}") from error
    if not isinstance(document, dict):
        raise _StepError("the document is no object")
    draft = _Draft(letter, document)
    for number, step in enumerate(fix.steps, 1):
        try:
            _do(step, draft)
        except _StepError as error:
            raise _StepError(f"step {number}: {error}") from error
    draft.document[REDRIVE_OF] = f"{letter.source}:{letter.offset}"
    value = _encode(draft.document)
    if draft.topic not in kernel.streams:
        raise _StepError(f"there is no stream {draft.topic}")
    _, event = kernel[draft.topic].decide.one(value, now_ms)
    stream, identity = kernel.pipeline.streams[draft.topic], kernel[draft.topic].identity
    key = "" if stream.key is None else str(_value(draft.document, stream.fields[stream.key]) or "")
    event_id = f"{letter.source}:{letter.offset}" if identity is None else str(identity(event))
    place = (letter.source, letter.offset, letter.append_ms)
    return Repair(*place, draft.topic, key.encode(), value, fix.name, event_id)


@singledispatch
def _do(step: rules.Step, _draft: _Draft) -> None:
    raise AssertionError(f"{step} has no implementation")


@_do.register
def _(step: rules.Set, draft: _Draft) -> None:
    fields, name = draft.parent(step.field)
    fields[name] = draft.filled(step.value)


@_do.register
def _(step: rules.Default, draft: _Draft) -> None:
    fields, name = draft.parent(step.field)
    if fields.get(name) is None:
        fields[name] = draft.filled(step.value)


@_do.register
def _(step: rules.Rename, draft: _Draft) -> None:
    fields, name = draft.parent(step.field)
    if name not in fields:
        raise _StepError(f"there is no {step.field}")
    target, new_name = draft.parent(step.to)
    if new_name in target:
        raise _StepError(f"there is a {step.to} already")
    target[new_name] = fields.pop(name)


@_do.register
def _(step: rules.Cast, draft: _Draft) -> None:
    draft.change(step.field, _as_text if step.to == "text" else lambda old: _whole(old, step.times))


@_do.register
def _(step: rules.Time, draft: _Draft) -> None:
    draft.change(step.field, lambda old: _time(old, step.form))


@_do.register
def _(step: rules.Replace, draft: _Draft) -> None:
    def new(old: object) -> str:
        if not isinstance(old, str) or old not in step.table:
            raise _StepError(f"{old!a:.40} is not in the table")
        return step.table[old]

    draft.change(step.field, new)


@_do.register
def _(step: rules.Letters, draft: _Draft) -> None:
    changes: dict[str, Callable[[str], str]] = {"upper": str.upper, "lower": str.lower, "stripped": str.strip}
    draft.change(step.field, lambda old: changes[step.to](_text(old)))


@_do.register
def _(step: rules.Shorten, draft: _Draft) -> None:
    draft.change(step.field, lambda old: _text(old)[: step.to])


@_do.register
def _(step: rules.Clamp, draft: _Draft) -> None:
    draft.change(step.field, lambda old: min(step.max, max(step.min, _whole(old, 1))))


@_do.register
def _(step: rules.Convert, draft: _Draft) -> None:
    def currency(old: object) -> str:
        if old != step.source:
            raise _StepError(f"the currency is {old!a:.40}, not {step.source}")
        return step.target

    def cents(old: object) -> int:
        return int((_whole(old, 1) * Decimal(step.rate)).quantize(Decimal(1), ROUND_HALF_EVEN))

    draft.change(step.currency, currency)
    draft.change(step.field, cents)


@_do.register
def _(step: rules.MoveTo, draft: _Draft) -> None:
    draft.topic = step.topic


def _text(old: object) -> str:
    if not isinstance(old, str):
        raise _StepError(f"{old!a:.40} is no text")
    return old


def _as_text(old: object) -> str:
    if isinstance(old, bool) or not isinstance(old, int | Decimal):
        raise _StepError(f"{old!a:.40} is no number")
    return str(old)


def _whole(old: object, times: int) -> int:
    if isinstance(old, bool) or not isinstance(old, int | Decimal | str):
        raise _StepError(f"{old!a:.40} is no number")
    try:
        number = Decimal(old) * times
        whole = int(number)
    except (InvalidOperation, OverflowError, ValueError):
        raise _StepError(f"{old!a:.40} is no number") from None
    if whole != number:
        raise _StepError(f"{old!a:.40} is no whole number")
    return whole


def _time(old: object, form: str) -> str:
    if form == "milliseconds":
        if isinstance(old, bool) or not isinstance(old, int):
            raise _StepError(f"{old!a:.40} is no number of milliseconds")
        try:
            return to_text(old)
        except (ValueError, OverflowError):
            raise _StepError(f"{old} ms is no time") from None
    try:
        found = datetime.strptime(_text(old), form)  # noqa: DTZ007 - UTC where the text has no offset
    except ValueError:
        raise _StepError(f"{old!a:.40} is not of the form {form}") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat(timespec="milliseconds")
