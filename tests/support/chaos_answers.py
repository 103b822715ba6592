"""Answers that were polled, each against the truth at its own cut and offsets."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from core.position import Vector
from tests.support.boundary_poller import Poller
from tests.support.chaos_audit import Audit

FORGET_EVERY: Final = 100


def wrong_answers(audit: Audit, pollers: Sequence[Poller]) -> list[str]:
    """What is wrong with any answer; in the order of their offsets, so that the truth is summed up once."""
    polled = sorted((p for poller in pollers for p in poller.polled), key=lambda p: sum(p.vector.values()))
    lowest_from = list(accumulate((p.vector for p in reversed(polled)), lowest))[::-1]
    wrong = []
    for number, (at, answer, _) in enumerate(polled):
        if number % FORGET_EVERY == 0:
            audit.forget(lowest_from[number])
        differences = (
            audit.document_differences(answer) if isinstance(answer, dict) else audit.answer_differences(answer)
        )
        if differences:
            wrong.append(f"{at:.3f}: {len(differences)} wrong, {differences[:4]}")
    return wrong


def lowest(one: Vector, other: Vector) -> Vector:
    """The lower offset of each partition."""
    return {source: min(one.get(source, 0), other.get(source, 0)) for source in one}
