"""Charts of a report: lines over seconds, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, floor, log10
from typing import Final

WIDTH, HEIGHT = 760, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 12, 10, 34
_TICKS: Final = 5
_DECADES: Final = 8

Points = Sequence[tuple[float, float]]


def lines(title: str, unit: str, series: Mapping[str, Points], *, log: bool = False) -> str:
    """An SVG of named lines; `log`: a logarithmic scale, on which values of 0 or less are left out.

    Lines take their colours from the classes `line NAME` of the page. Empty where there is nothing to draw.
    """
    drawn = {
        name: [(x, log10(y) if log else y) for x, y in points if y > 0 or not log] for name, points in series.items()
    }
    places = [point for points in drawn.values() for point in points]
    if not places:
        return ""
    end = max(x for x, _ in places) or 1.0
    low, high = min(y for _, y in places), max(y for _, y in places)
    if log:
        low, high = floor(low), max(ceil(high), floor(low) + 1)
    elif low == high:
        low, high = low - 0.5, high + 0.5

    def at(x: float, y: float) -> str:
        across = _LEFT + x / end * (WIDTH - _LEFT - _RIGHT)
        down = _TOP + (high - y) / (high - low) * (HEIGHT - _TOP - _BOTTOM)
        return f"{across:.1f},{down:.1f}"

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" preserveAspectRatio="xMidYMid meet">'
    ]
    marks = range(int(low), int(high) + 1) if log else [low + (high - low) * n / (_TICKS - 1) for n in range(_TICKS)]
    for mark in marks if len(marks) <= _DECADES else list(marks)[:: ceil(len(marks) / _DECADES)]:
        start, stop = at(0, mark), at(end, mark)
        y = start.split(",")[1]
        text = _number(10**mark if log else mark, high - low)
        parts += [
            f'<polyline class="grid" points="{start} {stop}"/>',
            f'<text x="{_LEFT - 8}" y="{float(y) + 4:.1f}" text-anchor="end">{text} {escape(unit)}</text>',
        ]
    for share in range(_TICKS):
        x = end * share / (_TICKS - 1)
        across = at(x, low).split(",")[0]
        parts.append(f'<text x="{across}" y="{HEIGHT - 10}" text-anchor="middle">{x:.0f} s</text>')
    for name, points in drawn.items():
        if points:
            path = " ".join(at(x, y) for x, y in points)
            parts.append(
                f'<polyline class="line {escape(name)}" points="{path}"><title>{escape(name)}</title></polyline>'
            )
    parts.append("</svg>")
    return "".join(parts)


def _number(value: float, span: float) -> str:
    digits = max(0, min(4, 1 - floor(log10(abs(span) or 1))))
    return f"{value:,.{digits}f}" if abs(value) >= 1 or not value else f"{value:.3g}"
