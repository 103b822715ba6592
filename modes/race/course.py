"""The course's table of trade-offs, and what a race says of it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any, Final, NamedTuple

Summary = Mapping[str, Mapping[str, Mapping[str, float]]]


class Claim(NamedTuple):
    """`says`: mode to the course's word. `order`: its rank, the least first. `column`: what measures it, where a higher rank
    is a higher figure.
    """  # noqa: D205 - a list

    subject: str
    says: Mapping[str, str]
    order: Mapping[str, int]
    column: str
    measured_as: str


#: "hours / seconds / both / seconds" and so on, in the order of the course's table.
CLAIMS: Final = (
    Claim(
        "latency",
        {"batch": "hours", "streaming": "seconds", "lambda": "both", "kappa": "seconds"},
        {"batch": 3, "streaming": 1, "lambda": 1, "kappa": 1},
        "freshness_p99",
        "append to visible in an answer, p99",
    ),
    Claim(
        "complexity",
        {"batch": "low", "streaming": "medium", "lambda": "high", "kappa": "medium"},
        {"batch": 1, "streaming": 2, "lambda": 3, "kappa": 2},
        "own_lines",
        "lines of code beside producers and serving",
    ),
    Claim(
        "cost",
        {"batch": "low", "streaming": "medium", "lambda": "high", "kappa": "medium"},
        {"batch": 1, "streaming": 2, "lambda": 3, "kappa": 2},
        "month",
        "a month at this rate by the price list",
    ),
    Claim(
        "accuracy",
        {"batch": "high", "streaming": "good", "lambda": "high", "kappa": "good"},
        {"batch": 2, "streaming": 1, "lambda": 2, "kappa": 1},
        "accuracy",
        "cells against the truth, at the end",
    ),
)


def judge(found: Summary, rounds: int) -> list[dict[str, Any]]:
    """For each claim: what the course says, the figures, and which pairs of modes agree with it.

    A pair agrees where the course ranks one mode above the other and no round of the one reaches a round of the other. It
    disagrees where it is the other way round. Where rounds overlap it is open. Pairs that the course calls equal
    are not judged: equal words do not promise equal figures.
    """
    out = []
    for claim in CLAIMS:
        modes = [mode for mode in claim.says if claim.column in found.get(mode, {})]
        agree, disagree, undecided = [], [], []
        for one, other in combinations(modes, 2):
            low, high = sorted((one, other), key=lambda mode: claim.order[mode])
            if claim.order[low] == claim.order[high]:
                continue
            lower, higher = found[low][claim.column], found[high][claim.column]
            pair = f"{low} < {high}"
            if lower["max"] < higher["min"]:
                agree.append(pair)
            elif lower["min"] > higher["max"]:
                disagree.append(pair)
            else:
                undecided.append(pair)
        out.append(
            {
                "subject": claim.subject,
                "measured_as": claim.measured_as,
                "column": claim.column,
                "says": dict(claim.says),
                "agree": agree,
                "disagree": disagree,
                "open": undecided,
                "words": _words(agree, disagree, undecided) + (" (one round)" if rounds == 1 else ""),
            }
        )
    return out


def _words(agree: list[str], disagree: list[str], undecided: list[str]) -> str:
    if not (agree or disagree or undecided):
        return "not judged: too few modes were measured"
    if not disagree and not undecided:
        return "the measurement agrees"
    parts = []
    if agree:
        parts.append(f"agrees for {', '.join(agree)}")
    if disagree:
        parts.append(f"does not for {', '.join(disagree)}")
    if undecided:
        parts.append(f"open for {', '.join(undecided)}")
    return "; ".join(parts)
