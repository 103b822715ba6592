"""Event times: RFC 3339 text to milliseconds since 1970, UTC."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Final

#: The last moment that can be written.
LATEST_MS: Final = 253_402_300_799_999
_START: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY: Final = date(1970, 1, 1).toordinal()
_HEAD: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])")
_TAIL: Final = re.compile(r"(?:\.([0-9]+))?(?:[Zz]|([+-])([01][0-9]|2[0-3]):?([0-5][0-9]))")
#: Characters up to the second, of which there are few even where no two times are equal.
_HEAD_LENGTH: Final = 19


class _Known(dict[str, int]):
    """Texts that were parsed before, at most `limit` of them."""

    def __init__(self, parse: Callable[[str], int], limit: int) -> None:
        super().__init__()
        self._parse = parse
        self._limit = limit

    def __missing__(self, text: str) -> int:
        value = self._parse(text)
        if len(self) >= self._limit:
            self.clear()
        self[text] = value
        return value


def _head(text: str) -> int:
    found = _HEAD.fullmatch(text)
    if found is None:
        raise ValueError("Invalid RFC3339 encoded datetime")
    year, month, day, hour, minute, second = map(int, found.groups())
    return ((date(year, month, day).toordinal() - _FIRST_DAY) * 86_400 + hour * 3_600 + minute * 60 + second) * 1_000


def _tail(text: str) -> int:
    found = _TAIL.fullmatch(text)
    if found is None:
        raise ValueError("time has no offset from UTC, or another form than RFC 3339 says")
    fraction, sign, hours, minutes = found.groups()
    offset_ms = (int(hours) * 60 + int(minutes)) * 60_000 if sign else 0
    return int((fraction or "")[:3].ljust(3, "0")) + (offset_ms if sign == "-" else -offset_ms)


_heads: Final = _Known(_head, 1 << 16)
_tails: Final = _Known(_tail, 1 << 16)

#: `millis[text]`: milliseconds since 1970-01-01T00:00:00Z of an RFC 3339 time, fractions below
#: cut off. Raises `ValueError` where the text is no RFC 3339 time with an offset from UTC.
millis: Final = _Known(lambda text: _heads[text[:_HEAD_LENGTH]] + _tails[text[_HEAD_LENGTH:]], 1 << 16)


def to_text(millis: int) -> str:
    """The inverse of `millis`, in UTC with three decimals: `2026-01-31T23:59:00.000Z`. At most the year 9999."""
    moment = _START + timedelta(milliseconds=min(millis, LATEST_MS))
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"
