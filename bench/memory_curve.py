"""The curve of a worker's memory over the events that it has counted."""

from __future__ import annotations

from statistics import linear_regression, mean

from core.errors import FourfoldError


class MemoryCurve:
    """Points of (events counted, resident MB). The first third is warming up."""

    def __init__(self) -> None:
        self._points: list[tuple[int, float]] = []

    def add(self, counted: int, resident: int) -> None:
        """One look; `resident` in bytes."""
        self._points.append((counted, resident / 1e6))

    def points(self, every: int) -> list[tuple[int, float]]:
        """The first look after every so many events."""
        out: list[tuple[int, float]] = []
        for counted, megabytes in self._points:
            if counted // every > (out[-1][0] // every if out else 0):
                out.append((counted, megabytes))
        return out

    @property
    def growth_percent(self) -> float:
        """By how much the mean of the last third is above that of the second."""
        second, last = mean(self._third(1)), mean(self._third(2))
        return (last / second - 1) * 100

    @property
    def slope_mb_per_million(self) -> float:
        """Of the straight line through the last two thirds."""
        total = self._points[-1][0]
        tail = [point for point in self._points if point[0] >= total / 3]
        return linear_regression([counted / 1e6 for counted, _ in tail], [mb for _, mb in tail]).slope

    def _third(self, number: int) -> list[float]:
        total = self._points[-1][0] if self._points else 0
        found = [mb for counted, mb in self._points if number * total / 3 <= counted <= (number + 1) * total / 3]
        if not found:
            raise FourfoldError("too few events to judge memory: use --memory-events with a larger number")
        return found
