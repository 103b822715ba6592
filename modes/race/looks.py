"""Looks: an answer now and then beside the truth at its own offsets, and beside all that is in the log."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.cells import Cell
from core.declaration.pipeline import Pipeline
from core.delta import DUPLICATES, LATE
from core.errors import UnavailableError
from core.ledger import Truth
from core.position import Vector, covers
from serving.answer import Answer
from serving.auditor import Auditor
from serving.merge import Merge, Users
from serving.verify import Verdict, compare

ALL = ("all", "")


@dataclass(frozen=True, slots=True)
class Look:
    """`seconds`: since the race's first record. `accuracy`: cell by cell against the ideal truth at the answer's offsets.

    `covered`: the share of the records in the log that the answer has. `wrong`: cells that differ from what the mode
    promises. `right`: 1 minus the distance from the ideal truth, of each measure, of duplicates and late events.
    `users`: distinct users in the answer, and `vector` where it stood.
    """

    seconds: float
    accuracy: float
    covered: float
    wrong: int
    right: Mapping[str, float]
    users: int
    vector: Vector


@dataclass(slots=True)
class Looks:
    """Answers by the same merge that the API uses, in this process."""

    source: Merge
    witness: Auditor
    pipeline: Pipeline
    #: the log's ends now; raises `UnavailableError`
    ends: Callable[[], Vector]
    found: list[Look] = field(default_factory=list)

    def look(self, began: float) -> tuple[Answer, Verdict] | None:
        """One look; None where there is no answer yet. `began`: on the monotonic clock."""
        answer = self._answer()
        if answer is None:
            return None
        ends = self.ends()
        self.witness.read_until(answer.vector)
        verdict = compare(answer, self.witness.ledger, self.pipeline)
        total = sum(ends.values())
        covered = min(1.0, sum(answer.vector.values()) / total) if total else 1.0
        wrong = len({difference.where for difference in verdict.differences})
        right, seen = self._right(answer, self.witness.ledger.ideal(answer.vector)), self._users(answer)
        at_s = time.monotonic() - began
        self.found.append(Look(at_s, verdict.accuracy, covered, wrong, right, seen.number, dict(answer.vector)))
        # what is below an answer is asked for no more: a look costs the same late in the race
        self.witness.ledger.forget(answer.vector)
        return answer, verdict

    def settled(self, vector: Vector) -> bool:
        """Whether all below a vector is in the answer for good: in the batch view, where there is one."""
        answer = self._answer()
        return answer is not None and covers(answer.vector if answer.cut is None else answer.cut.vector, vector)

    def exact(self, vector: Vector) -> bool:
        """Whether the answer covers a vector and is what the mode promises, in every cell."""
        answer = self._answer()
        if answer is None or not covers(answer.vector, vector):
            return False
        self.witness.read_until(answer.vector)
        return compare(answer, self.witness.ledger, self.pipeline).exact

    def final(self, answer: Answer, users: set[str]) -> dict[str, Any]:
        """The exact columns: what is counted in the end, and its distance from the ideal truth."""
        truth = self.witness.ledger.ideal(answer.vector)
        totals, counters = truth.totals().get(ALL, answer.zero), truth.counters()
        counted = answer.counters
        seen = self._users(answer)
        rejected = {name: number for name, number in counted.items() if name.startswith("rejected:")}
        return {
            "records": sum(answer.vector.values()),
            "accepted": counted.get("accepted", 0),
            "duplicates": counted.get(DUPLICATES, 0),
            "late": counted.get(LATE, 0),
            "rejected": dict(sorted(rejected.items())),
            "totals": self._named(answer.total),
            "true": {**self._named(totals), "duplicates": counters.get(DUPLICATES, 0), "late": counters.get(LATE, 0)},
            "users": {"counted": seen.number, "true": len(users), "exact": seen.exact},
            "accuracy": {**self._right(answer, truth), "users": close(seen.number, len(users))},
        }

    def _answer(self) -> Answer | None:
        """The answer now; None where there is none."""
        try:
            return self.source.answer()
        except UnavailableError:
            return None

    def _users(self, answer: Answer) -> Users:
        minutes = {key.minute for key in answer.cells()} or {0}
        return self.source.users(answer, min(minutes), max(minutes) + 1)

    def _named(self, cell: Cell) -> dict[str, int]:
        return dict(zip(self.pipeline.measures, cell, strict=True))

    def _right(self, answer: Answer, truth: Truth) -> dict[str, float]:
        totals, counters = truth.totals().get(ALL, answer.zero), truth.counters()
        measures = zip(self.pipeline.measures, answer.total, totals, strict=True)
        return {
            **{name: close(seen, true) for name, seen, true in measures},
            **{name: close(answer.counters.get(name, 0), counters.get(name, 0)) for name in (DUPLICATES, LATE)},
        }


def close(seen: int, true: int) -> float:
    """1 minus the distance, as a share of what is true."""
    if not true:
        return 1.0 if not seen else 0.0
    return 1 - abs(seen - true) / true
