"""The verdict on a view, and its words."""

from __future__ import annotations

from collections.abc import Callable

from adapters.speed.port import Snapshot
from modes.settings import Settings
from modes.wiring import auditor, speed_reader
from serving.verify import Verdict, compare

#: Differences that are listed; the rest is a number.
LISTED = 20


def judge(settings: Settings, progress: Callable[[int], None] = lambda _: None) -> tuple[Snapshot, Verdict]:
    """The view now, and the verdict on it. `progress` gets the number of records read.

    Raises `UnavailableError` where Redis or Kafka is away.
    """
    snapshot = snapshot_of(settings)
    with auditor(settings) as witness:
        witness.read_until(snapshot.vector, progress=progress)
        return snapshot, compare(snapshot, witness.ledger)


def snapshot_of(settings: Settings) -> Snapshot:
    """The speed view now. Raises `UnavailableError` where Redis is away."""
    reader = speed_reader(settings)
    try:
        return reader.read()
    finally:
        reader.close()


def verdict_lines(verdict: Verdict) -> list[str]:
    """The verdict for people."""
    outcome = "EXACT" if verdict.exact else "NOT EXACT"
    lines = [
        (
            f"verify: {outcome}: {verdict.compared_cells:,} cells compared with the horizon truth "
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
