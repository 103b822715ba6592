"""A picture of lines on two logarithmic scales, as an SVG that stands alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from math import ceil, floor, log10
from typing import Final

WIDTH, HEIGHT = 1_000, 560
_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 450, 44, 56
#: Told apart by those who see colours and, with the dashes, by those who do not.
_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#a66f00", "#000000")
_DASHES: Final = ("", "8 4", "2 3")
_STYLE: Final = (
    "text{font:13px sans-serif;fill:#222}.grid{stroke:#ddd;fill:none}.line{fill:none;stroke-width:2}"
    ".title{font-size:16px;font-weight:bold}"
)

Points = Sequence[tuple[float, float]]
Place = Callable[[float, float], tuple[float, float]]


def log_log(title: str, across: str, up: str, series: Mapping[str, Points]) -> str:
    """The picture. Empty where there is nothing to draw.

    Args:
        title: Above it.
        across: What grows to the right.
        up: What grows upwards.
        series: Lines by name; points of 0 or less are left out, and so are lines without any.
    """
    drawn = {
        name: kept
        for name, points in series.items()
        if (kept := sorted((log10(x), log10(y)) for x, y in points if x > 0 and y > 0))
    }
    places = [point for points in drawn.values() for point in points]
    if not places:
        return ""
    first, last = _decades([x for x, _ in places])
    low, high = _decades([y for _, y in places])

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            _LEFT + (x - first) / (last - first) * (WIDTH - _LEFT - _RIGHT),
            _TOP + (high - y) / (high - low) * (HEIGHT - _TOP - _BOTTOM),
        )

    middle_x, middle_y = (_LEFT + WIDTH - _RIGHT) / 2, (_TOP + HEIGHT - _BOTTOM) / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        f'<style>{_STYLE}</style><rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text class="title" x="{_LEFT}" y="26">{escape(title)}</text>',
        *_grid(at, range(first, last + 1), range(low, high + 1)),
        f'<text x="{middle_x:.0f}" y="{HEIGHT - 12}" text-anchor="middle">{escape(across)}</text>',
        f'<text transform="translate(20 {middle_y:.0f}) rotate(-90)" text-anchor="middle">{escape(up)}</text>',
        *(part for number, (name, points) in enumerate(drawn.items()) for part in _line(at, number, name, points)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _decades(logs: Sequence[float]) -> tuple[int, int]:
    """Whole decades that hold all, at least one."""
    low = floor(min(logs))
    return low, max(ceil(max(logs)), low + 1)


def _grid(at: Place, across: range, up: range) -> Iterator[str]:
    for decade in across:
        (x, bottom), (_, top) = at(decade, up[0]), at(decade, up[-1])
        yield f'<polyline class="grid" points="{x:.1f},{bottom:.1f} {x:.1f},{top:.1f}"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 18:.1f}" text-anchor="middle">{_number(decade)}</text>'
    for decade in up:
        (left, y), (right, _) = at(across[0], decade), at(across[-1], decade)
        yield f'<polyline class="grid" points="{left:.1f},{y:.1f} {right:.1f},{y:.1f}"/>'
        yield f'<text x="{left - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{_number(decade)}</text>'


def _line(at: Place, number: int, name: str, points: Points) -> Iterator[str]:
    """The line, its points, and its entry beside the picture."""
    colour = _COLOURS[number % len(_COLOURS)]
    dash = _DASHES[number % len(_DASHES)]
    look = f'stroke="{colour}"' + (f' stroke-dasharray="{dash}"' if dash else "")
    where = [at(x, y) for x, y in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in where)
    yield f'<polyline class="line" {look} points="{path}"><title>{escape(name)}</title></polyline>'
    for x, y in where:
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>'
    left, y = WIDTH - _RIGHT + 20, _TOP + 12 + number * 24
    yield f'<polyline class="line" {look} points="{left},{y} {left + 36},{y}"/>'
    yield f'<text x="{left + 44}" y="{y + 4}">{escape(name)}</text>'


def _number(decade: int) -> str:
    return f"{10**decade:,}" if decade >= 0 else f"{10.0**decade:.{-decade}f}"
