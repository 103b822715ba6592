"""The contract as it was before the declaration, for what must be equal to before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from core.contract import DECODE_ERRORS, FUTURE_LIMIT_MS, OLDEST_MS, UNSTAMPED_MS, not_stamped
from core.rfc3339 import millis
from core.verdict import Reason, Rejected
from tests.support.shop_events import CLICKS, CURRENCY, EVENT_OF_TOPIC, Click, Event, Sale

_countries: Final[set[str]] = set()
#: What msgspec says, to the reason that we count. The first that fits wins.
_REASONS: Final = (
    ("missing required field", Reason.MISSING_FIELD),
    ("`$.type`", Reason.UNKNOWN_TYPE),
    ("of length", Reason.OUT_OF_RANGE),
    ("`int` >=", Reason.OUT_OF_RANGE),
    ("`int` <=", Reason.OUT_OF_RANGE),
    ("Integer value out of range", Reason.OUT_OF_RANGE),
    ("Number out of range", Reason.OUT_OF_RANGE),
    ("Expected `", Reason.WRONG_TYPE),
    ("Invalid", Reason.BAD_FORMAT),
)
#: Fields of fixed form: a wrong length is a wrong format there.
_FORMATTED: Final = ("`$.time`", "`$.data.country`", "`$.data.currency`")


class Contract:
    """The contract of one topic. No input makes its methods raise anything but `Rejected`."""

    def __init__(self, topic: str) -> None:
        """Raises `KeyError` for a topic that carries no events."""
        # the union, not the topic's own type: alone, msgspec would not require the field `type`
        decode = msgspec.json.Decoder(Click | Sale).decode
        #: bytes to an event; raises one of `DECODE_ERRORS`
        self.decode: Callable[[bytes | None], Event] = decode  # type: ignore[assignment]
        self._own = EVENT_OF_TOPIC[topic]
        self._in_money = topic != CLICKS

    def validate(self, value: bytes | None, append_ms: int) -> tuple[int, Event]:
        """`(event time in ms, event)`; `append_ms` is the broker's append time. Raises `Rejected`."""
        try:
            event = self.decode(value)
        except DECODE_ERRORS as error:
            raise rejection(value, error, append_ms) from None
        return self.examine(event, append_ms), event

    def examine(self, event: Event, append_ms: int) -> int:
        """The rules that a type cannot state; the event time in ms. Raises `Rejected`."""
        if append_ms == UNSTAMPED_MS:
            raise not_stamped()
        if event.__class__ is not self._own:
            kind = type(event).__struct_config__.tag
            raise Rejected(Reason.WRONG_TOPIC, f"{kind} does not belong on this topic")
        try:
            time_ms = millis[event.time]
        except ValueError as error:
            raise Rejected(Reason.BAD_FORMAT, f"time: {error}") from None
        data = event.data
        if data.country not in _countries:
            _check_country(data.country)
        if time_ms > append_ms + FUTURE_LIMIT_MS:
            ahead = (time_ms - append_ms) // 1000
            raise Rejected(Reason.FROM_FUTURE, f"event time is {ahead} s ahead of the append time")
        if time_ms < OLDEST_MS:
            raise Rejected(Reason.OUT_OF_RANGE, "event time is before the year 2000")
        if self._in_money and data.currency != CURRENCY:  # type: ignore[union-attr]
            raise _currency_rejection(data.currency)  # type: ignore[union-attr]
        return time_ms


def rejection(value: bytes | None, error: Exception, append_ms: int) -> Rejected:
    """The reason behind one of `DECODE_ERRORS` that decoding `value` gave."""
    if append_ms == UNSTAMPED_MS:
        return not_stamped()
    text = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return Rejected(Reason.NOT_JSON, "no value" if value is None else text)
    if any(field in text for field in _FORMATTED) and "of length" in text:
        return Rejected(Reason.BAD_FORMAT, text)
    reason = next((reason for sign, reason in _REASONS if sign in text), Reason.BAD_FORMAT)
    if reason is Reason.UNKNOWN_TYPE:
        return _type_rejection(value, text)
    return Rejected(reason, text)


def _check_country(code: str) -> None:
    if not (code.isascii() and code.isalpha() and code.isupper()):
        raise Rejected(Reason.BAD_FORMAT, "country: not two capital letters (ISO 3166-1)")
    _countries.add(code)


def _currency_rejection(code: str) -> Rejected:
    if not (code.isascii() and code.isalpha() and code.isupper()):
        return Rejected(Reason.BAD_FORMAT, "currency: not three capital letters (ISO 4217)")
    return Rejected("wrong_currency", f"currency: {code}, but revenue is summed in {CURRENCY}")


def _type_rejection(value: bytes | None, text: str) -> Rejected:
    if "Expected `str`" in text:
        return Rejected(Reason.WRONG_TYPE, text)
    try:
        msgspec.json.decode(value or b"")
    except DECODE_ERRORS:
        # the type was met before what breaks the document
        return Rejected(Reason.NOT_JSON, text)
    return Rejected(Reason.UNKNOWN_TYPE, text)
