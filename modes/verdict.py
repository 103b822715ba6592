"""The verdict on the numbers, and its words."""

from __future__ import annotations

from collections.abc import Callable

from modes.settings import Settings
from modes.wiring import auditor, merge
from serving.answer import Answer
from serving.verify import Verdict, compare

#: Differences that are listed; the rest is a number.
LISTED = 20


def judge(settings: Settings, progress: Callable[[int], None] = lambda _: None) -> tuple[Answer, Verdict]:
    """The answer now, and the verdict on it. `progress` gets the number of records read.

    Raises `UnavailableError` where there is no answer or Kafka is away.
    """
    answer = answer_of(settings)
    with auditor(settings) as witness:
        witness.read_until(answer.vector, progress=progress)
        return answer, compare(answer, witness.ledger)


def answer_of(settings: Settings) -> Answer:
    """The answer now. Raises `UnavailableError` where there is none."""
    source = merge(settings)
    try:
        return source.answer()
    finally:
        source.close()


def verdict_lines(verdict: Verdict, answer: Answer) -> list[str]:
    """The verdict for people."""
    outcome = "EXACT" if verdict.exact else "NOT EXACT"
    against = "the horizon truth"
    if answer.batch is not None:
        against = f"the truth (batch view v{answer.batch.manifest.version} to the ideal, what follows to the horizon)"
    lines = [
        (
            f"verify: {outcome}: {verdict.compared_cells:,} cells compared with {against} "
            f"at the view's own offsets, {len(verdict.differences):,} differ"
        ),
        (
            f"accuracy {verdict.accuracy:.4%} of the ideal truth "
            f"({verdict.duplicates_beyond_horizon:,} duplicates beyond the horizon)"
        ),
    ]
    lines += [f"  {difference}" for difference in verdict.differences[:LISTED]]
    if len(verdict.differences) > LISTED:
        lines.append(f"  and {len(verdict.differences) - LISTED:,} more")
    if verdict.unaudited:
        lines.append(f"{verdict.unaudited:,} records carry no truth header: what they count for is not audited")
    return lines
