"""Slopes: with which power of a size something grows."""

from __future__ import annotations

from collections.abc import Iterable
from math import log
from statistics import linear_regression


def slope(points: Iterable[tuple[float, float]]) -> float | None:
    """The power with which y grows with x: least squares over the logarithms. 0: it stays, 1: as x does, 2: as its square.

    Points of 0 or less have no logarithm and are left out. None where fewer than two sizes are left.
    """
    logs = [(log(x), log(y)) for x, y in points if x > 0 and y > 0]
    if len({x for x, _ in logs}) < 2:
        return None
    return linear_regression([x for x, _ in logs], [y for _, y in logs]).slope


def slope_text(number: float | None) -> str:
    """For people."""
    return "-" if number is None else f"{number:.2f}"
