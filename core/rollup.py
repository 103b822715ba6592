"""How fine event time is kept where counts are kept for good: by minutes, later by hours, then by days."""

from __future__ import annotations

from typing import Final, NamedTuple

from core.cells import MINUTE_MS, Cells
from core.errors import ConfigurationError
from core.rfc3339 import to_text

HOUR: Final = 60
DAY: Final = 1_440


class Grain(NamedTuple):
    """Minutes since 1970: what is below `days_below` is kept by days, what is below `hours_below` by hours."""

    hours_below: int = 0
    days_below: int = 0

    def width(self, minute: int) -> int:
        """How many minutes are kept as one around a minute."""
        return DAY if minute < self.days_below else HOUR if minute < self.hours_below else 1

    def start(self, minute: int) -> int:
        """The first minute of what a minute is kept in."""
        return minute - minute % self.width(minute)

    def coarser(self, other: Grain) -> Grain:
        """What both can be compared by."""
        return Grain(max(self.hours_below, other.hours_below), max(self.days_below, other.days_below))

    def cells(self, cells: Cells) -> Cells:
        """Cells as they are kept."""
        if not self.hours_below:
            return cells
        out: Cells = {}
        for key, cell in cells.items():
            place = key._replace(minute=self.start(key.minute))
            old = out.get(place)
            out[place] = cell if old is None else old.plus(cell)
        return out

    def refusal(self, name: str, minute: int) -> str:
        """Why a span cannot begin or end at a minute (`name`: which of the two), and what can be asked; "" where it can."""
        width = self.width(minute)
        if minute % width == 0:
            return ""
        kept, since = ("days", self.days_below) if width == DAY else ("hours", self.hours_below)
        return (
            f"before {to_text(since * MINUTE_MS)} this view keeps {kept} and no minutes: "
            f"let the {name} be {to_text(self.start(minute) * MINUTE_MS)}, or later than that time"
        )


#: All is kept by minutes.
BY_MINUTES: Final = Grain()


class Rollup(NamedTuple):
    """Declared: after how many minutes event time is kept by hours, and by days."""

    hours_after: int = DAY
    days_after: int = 31 * DAY

    def grain(self, newest_ms: int) -> Grain:
        """How fine event time is kept in a view whose newest event is of `newest_ms`."""
        newest = newest_ms // MINUTE_MS
        hours, days = newest - self.hours_after, newest - self.days_after
        return Grain(max(0, hours - hours % HOUR), max(0, days - days % DAY))


#: What holds where nothing else is declared.
USUAL: Final = Rollup()


def rollup_of(hours_after: int, days_after: int) -> Rollup:
    """Checked. Raises `ConfigurationError`."""
    if hours_after < 2 * HOUR:
        raise ConfigurationError("minutes are kept for 2h at least: the last hour is shown by minutes")
    if days_after < hours_after:
        raise ConfigurationError("hours are kept as long as minutes at least")
    return Rollup(hours_after, days_after)
