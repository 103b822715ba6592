"""The verdict on the numbers, and its words."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from adapters.kafka.continuity import Continuity, Mark
from adapters.lake.manifest import PartitionState
from core.errors import UnavailableError
from core.position import PartitionKey
from modes.pipelines import pipeline_of
from modes.settings import Settings
from modes.wiring.answers import auditor, merge
from serving.answer import Answer
from serving.harmless import safe
from serving.verify import Verdict, compare

#: Differences that are listed; the rest is a number.
LISTED: Final = 20
#: How long a verdict waits for the records that were in the log when it was asked for.
WAIT_S: Final = 15.0
LOOK_EVERY_S: Final = 0.25
#: Records are in the batch view after so many batch cycles, and moments.
CYCLES: Final = 2
_WIDTH: Final = 300


def judge(
    settings: Settings,
    progress: Callable[[str], None] = lambda _: None,
    wait_s: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Answer, Verdict]:
    """An answer that has counted what was in the log when this began, and the verdict on it.

    Args:
        settings: What to judge.
        progress: Gets lines for people.
        wait_s: How long to wait for such an answer; None: so long as the mode may need. What is uncounted
            after that is in the verdict, which is not exact then; neither is one that compared nothing.
        clock: Seconds.

    Raises:
        UnavailableError: There is no answer, or Kafka is away.
        ConfigurationError: The log is shorter than what was counted of it.
    """
    with auditor(settings) as witness:
        ends = witness.ends_now()
        limit = clock() + (_patience_s(settings) if wait_s is None else wait_s)
        answer = _covering(settings, ends, lambda: clock() < limit, progress)
        left = _uncounted(answer, ends)
        _check_log(settings, answer)
        witness.read_until(answer.vector, progress=lambda count: progress(f"reading the log: {count:,} records"))
        verdict = compare(answer, witness.ledger, pipeline_of(settings))
    exact = verdict.exact and not left and not verdict.empty
    return answer, replace(verdict, exact=exact, uncounted=left)


def _covering(
    settings: Settings, ends: Mapping[PartitionKey, int], go_on: Callable[[], bool], progress: Callable[[str], None]
) -> Answer:
    """The first answer that covers `ends`, or the last one there was."""
    source = merge(settings)
    try:
        while True:
            try:
                answer = source.answer()
            except UnavailableError as error:
                if not go_on():
                    raise
                progress(f"waiting: {error}")
            else:
                left = _uncounted(answer, ends)
                if not left or not go_on():
                    return answer
                progress(f"waiting until {left:,} records are counted")
            time.sleep(LOOK_EVERY_S)
    finally:
        source.close()


def _patience_s(settings: Settings) -> float:
    """How long records may take to be counted: moments by workers, some cycles by the batch layer alone."""
    return WAIT_S if settings.mode_row.speed_view else WAIT_S + CYCLES * settings.batch_seconds


def _uncounted(answer: Answer, ends: Mapping[PartitionKey, int]) -> int:
    return sum(max(0, end - answer.vector.get(source, 0)) for source, end in ends.items())


def _check_log(settings: Settings, answer: Answer) -> None:
    """Raises `ConfigurationError` where the log is not the one that the answer counts."""
    marks = {source: _mark_of(answer, source) for source in answer.vector}
    continuity = Continuity(settings.access, "the view", "begin another view with FOURFOLD_NAMESPACE")
    try:
        continuity.check(marks)
    finally:
        continuity.close()


def _mark_of(answer: Answer, source: PartitionKey) -> Mark:
    """What the answer knows of a partition, by whichever view is further."""
    end = answer.vector[source]
    speed = answer.speed.positions.get(source) if answer.speed else None
    known = speed if speed is not None and speed.next == end else None
    if known is None and answer.batch is not None:
        state = answer.batch.manifest.partitions.get(source, PartitionState())
        return Mark(end, state.last, state.appended_ms)
    return Mark(end, known.last, known.appended_ms) if known else Mark(end, -1, 0)


def verdict_lines(verdict: Verdict, answer: Answer) -> list[str]:
    """The verdict for people."""
    if verdict.empty and not verdict.uncounted:
        return ["verify: NO VERDICT: nothing is counted yet, and the log is empty"]
    outcome = "EXACT" if verdict.exact else "NOT EXACT" if verdict.differences else "NOT COMPLETE"
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
    if verdict.uncounted:
        lines.append(
            f"{verdict.uncounted:,} records that were in the log are not counted yet: is a worker (or the batch role) at work?"
        )
    if verdict.unaudited:
        lines.append(
            f"{verdict.unaudited:,} records carry no truth header: they were judged by how much such records can add"
        )
    lines += [safe(said, _WIDTH) for said in answer.states]
    return lines
