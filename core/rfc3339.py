"""Event times: RFC 3339 text to milliseconds since 1970, UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

#: The last moment that can be written.
LATEST_MS: Final = 253_402_300_799_999
_CACHE_LIMIT: Final = 1 << 16
_START: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
#: Digits below the millisecond; msgspec would round them, up into the next minute even.
_BELOW: Final = re.compile(r"(?<=\.\d{3})\d+", re.ASCII)


class _Millis(dict[str, int]):
    """Texts already parsed: events of one moment repeat them, and a parse takes ten look-ups."""

    def __missing__(self, text: str) -> int:
        value = _parse(text)
        if len(self) >= _CACHE_LIMIT:
            self.clear()
        self[text] = value
        return value


#: `millis[text]`: milliseconds since 1970-01-01T00:00:00Z of an RFC 3339 time, fractions below
#: cut off. Raises `ValueError` where the text is no RFC 3339 time with an offset from UTC.
millis: Final = _Millis()


def to_text(millis: int) -> str:
    """The inverse of `millis`, in UTC with three decimals: `2026-01-31T23:59:00.000Z`. At most the year 9999."""
    moment = _START + timedelta(milliseconds=min(millis, LATEST_MS))
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def _parse(text: str) -> int:
    try:
        moment = msgspec.convert(_BELOW.sub("", text), datetime)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    if moment.tzinfo is None:
        raise ValueError("time has no offset from UTC")
    return (moment - _START) // _MILLISECOND
