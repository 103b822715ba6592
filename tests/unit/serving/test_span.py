"""Spans of event time that a view which keeps hours can answer, and those that it cannot."""

from __future__ import annotations

import pytest

from core.rollup import DAY, HOUR, Grain
from serving.http.problem import ProblemError
from serving.http.span import Span, kept

GRAIN = Grain(20 * DAY, 10 * DAY)


@pytest.mark.parametrize(
    ("span", "step"),
    [
        (Span(20 * DAY + 1, 20 * DAY + 7), 1),
        (Span(15 * DAY + HOUR, 20 * DAY + 7), 60),
        (Span(15 * DAY + HOUR, 16 * DAY), 120),
        (Span(3 * DAY, 20 * DAY + 7), DAY),
        (Span(0, 20 * DAY + 7), 2 * DAY),
    ],
)
def test_what_is_kept_is_answered(span: Span, step: int) -> None:
    assert kept(span, GRAIN, step) == span


@pytest.mark.parametrize(
    ("span", "step", "says"),
    [
        (Span(15 * DAY + 1, 20 * DAY + 7), 60, "start: before .* keeps hours"),
        (Span(3 * DAY + HOUR, 20 * DAY + 7), DAY, "start: before .* keeps days"),
        (Span(3 * DAY, 15 * DAY + 1), DAY, "end: before .* keeps hours"),
        (Span(15 * DAY, 20 * DAY + 7), 1, "step: .* a multiple of 60"),
        (Span(3 * DAY, 20 * DAY + 7), 60, "step: .* a multiple of 1440"),
    ],
)
def test_what_is_finer_is_refused_with_what_is_there(span: Span, step: int, says: str) -> None:
    with pytest.raises(ProblemError, match=says):
        kept(span, GRAIN, step)
