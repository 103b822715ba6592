"""The users of a snapshot: a sketch for each epoch and minute of event time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from core.sketch import Sketch


class HeldUsers:
    """Immutable."""

    def __init__(self, parts: Iterable[Mapping[int, Sketch]] = ()) -> None:
        """`parts`: minute to sketch, of one epoch each."""
        self._parts = tuple(parts)

    def between(self, start: int, end: int) -> list[Sketch]:
        """The sketches of minutes `start` (included) to `end` (left out)."""
        found: list[Sketch] = []
        for part in self._parts:
            if end - start < len(part):
                found += (part[minute] for minute in range(start, end) if minute in part)
            else:
                found += (sketch for minute, sketch in part.items() if start <= minute < end)
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HeldUsers) and self._whole() == other._whole()

    def __hash__(self) -> int:
        return id(self)

    def _whole(self) -> dict[int, Sketch]:
        whole: dict[int, Sketch] = {}
        for part in self._parts:
            for minute, sketch in part.items():
                whole.setdefault(minute, Sketch()).merge(sketch)
        return whole
