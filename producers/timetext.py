"""Event times as text, fast: one formatting for all events of a second."""

from __future__ import annotations

from typing import Final

from core.rfc3339 import to_text

_CACHE_LIMIT: Final = 4096


class SecondTexts(dict[int, str]):
    """Seconds since 1970 to `2026-01-31T23:59:00`; bounded."""

    def __missing__(self, second: int) -> str:
        if len(self) >= _CACHE_LIMIT:
            self.clear()
        text = self[second] = to_text(second * 1000)[:-5]
        return text


#: Milliseconds of a second to `.000Z`.
MILLI_TEXTS: Final = tuple(f".{milli:03}Z" for milli in range(1000))
