"""A rate: the mean over the last moments of a number that grows."""

from __future__ import annotations

from collections import deque
from typing import Final

#: Rates are means over so many seconds.
WINDOW_S: Final = 3.0


class Meter:
    """Is told the number now and then. One that shrinks begins anew."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()
        self._moved_at = float("-inf")

    def rate(self, now: float, number: int) -> float:
        """So much a second, with what is told now."""
        seen = self._seen
        if seen and number < seen[-1][1]:
            seen.clear()
        if not seen or number != seen[-1][1]:
            self._moved_at = now
        seen.append((now, number))
        while len(seen) > 2 and now - seen[1][0] >= WINDOW_S:  # noqa: PLR2004 - first and last
            seen.popleft()
        span = now - seen[0][0]
        return (number - seen[0][1]) / span if span else 0.0

    def still_s(self, now: float) -> float:
        """Seconds since it moved."""
        return max(0.0, now - self._moved_at)
