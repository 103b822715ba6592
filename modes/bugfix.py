"""The bug-fix drill: an error of logic is planted, history passes, it is repaired as the mode can, and all is watched."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from core.declaration.pipeline import STANDARD, Logic
from core.errors import ConfigurationError, InexactError, UnavailableError
from core.ledger import Ledger
from core.position import PartitionKey
from modes.crew import Crew
from modes.pipelines import pipeline_of
from modes.replay import Replay
from modes.settings import Settings
from modes.wiring.answers import auditor, merge
from modes.wiring.kafka import wait_for_topics
from serving.answer import Answer
from serving.auditor import Auditor
from serving.merge import Merge
from serving.verify import compare

#: Answers are looked at so often.
LOOK_EVERY_S: Final = 0.5
#: A mode must answer, and after the repair be exact, within so long, its window aside.
BOUND_S: Final = 120.0
#: Exact in so many looks running: once might be between two events.
STEADY: Final = 3
#: What makes a drill of a minute out of what takes hours: short epochs, cycles and windows.
SHORT: Final[Mapping[str, Any]] = {
    "epoch_seconds": 2.0,
    "horizon_epochs": -1,
    "window_hours": 0.01,
    "batch_seconds": 5.0,
    "dirt_late": 0.0,
}


@dataclass(frozen=True, slots=True)
class Look:
    """One answer beside the truth at its offsets. `seconds`: since the first event; money in cents."""

    seconds: float
    revenue: int
    true_revenue: int
    wrong_cells: int
    cells: int
    from_: str

    @property
    def error(self) -> float:
        """Share of the true revenue."""
        return abs(self.revenue - self.true_revenue) / self.true_revenue if self.true_revenue else 0.0

    def as_json(self) -> dict[str, Any]:
        """For people and pages."""
        return {
            "seconds": round(self.seconds, 2),
            "revenue_cents": self.revenue,
            "true_revenue_cents": self.true_revenue,
            "error": self.error,
            "wrong_cells": self.wrong_cells,
            "cells": self.cells,
            "from": self.from_,
        }


@dataclass(slots=True)
class BugfixDrill:
    """One drill in one mode, on servers where nothing else counts. `short`: settings that make hours of history short."""

    settings: Settings
    history_s: float
    progress: Callable[[str], None] = lambda _: None
    short: Mapping[str, Any] = field(default_factory=lambda: SHORT)
    clock: Callable[[], float] = time.monotonic
    looks: list[Look] = field(default_factory=list)
    events: list[tuple[float, str]] = field(default_factory=list)
    _began: float | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def _wrong(self) -> Logic:
        """The error: the first logic of the pipeline. Raises `ConfigurationError` where it has none."""
        pipeline = pipeline_of(self.settings)
        if not pipeline.logics:
            raise ConfigurationError(
                f"the pipeline {pipeline.name} declares no logic that counts otherwise: the drill needs one to repair"
            )
        return next(iter(pipeline.logics.values()))

    def run(self) -> dict[str, Any]:
        """The document of `fourfold drill bugfix --json`. Raises `FourfoldError` where a part cannot run or go on."""
        wrong = self.settings.model_copy(update={**self.short, "logic": self._wrong.name})
        wait_for_topics(wrong)
        with Crew(wrong, batch_every=wrong.batch_seconds).start() as crew, auditor(wrong) as witness:
            source = merge(wrong)
            try:
                return self._drill(crew, source, witness)
            finally:
                source.close()

    def _drill(self, crew: Crew, source: Merge, witness: Auditor) -> dict[str, Any]:
        row = crew.settings.mode_row
        self.progress("waiting for the first answer")
        for _, _ in self._watch(crew, source, witness, BOUND_S):
            if self.looks[-1].wrong_cells:
                break
        else:
            raise UnavailableError(f"no wrong number was seen within {BOUND_S:g} s: see the logs of the roles")
        self._say(f"counted by the logic {self._wrong.name}")
        answer = None
        for found, _ in self._watch(crew, source, witness, self.history_s):
            answer = found
            self.progress(f"history passes: {self.looks[-1].seconds:.0f} s")
        if answer is None:
            raise UnavailableError("there was no answer in all of the history: see the logs of the roles")
        found_at = self._seconds()
        counted, in_answer = _sales(witness.ledger, answer.vector), _sales(witness.ledger, answer.vector, answer.floor)
        self._say(f"the error is found; repair: {row.repair}")
        right = crew.settings.model_copy(update={"logic": STANDARD})
        if row.job_versions:
            self._replay(crew, source, witness, right)
        else:
            crew.restart(right)
        final = self._until_exact(crew, source, witness)
        exact_at = self.looks[-STEADY].seconds
        repaired = _sales(witness.ledger, answer.vector, final.floor)
        self.events.append((exact_at, "every number is exact again"))
        return {
            "mode": row.name,
            "repair": row.repair,
            "wrong_logic": self._wrong.description,
            "history_seconds": self.history_s,
            "wrong_seconds": round(exact_at, 2),
            "repair_seconds": round(exact_at - found_at, 2),
            "sales_counted_wrong": counted,
            "sales_out_of_reach_when_found": counted - in_answer,
            "sales_repaired": repaired,
            "sales_never_repaired": counted - repaired,
            "events": [{"seconds": round(seconds, 2), "what": what} for seconds, what in self.events],
            "looks": [look.as_json() for look in self.looks],
        }

    def _replay(self, crew: Crew, source: Merge, witness: Auditor, right: Settings) -> None:
        name = "v2"
        with Replay(right) as replay:
            before = replay.book().active
            replay.start(name, STANDARD)
            for seen in replay.follow(name, lambda _: self._look_once(crew, source, witness)):
                self.progress(f"replay: {seen.counted:,} of {seen.total:,}, {seen.rate:,.0f}/s")
            found, _ = replay.diff(before, name)
            self._say(f"{name} has caught up; {len(found.changes):,} of {found.compared:,} cells differ from {before}")
            replay.switch(name, most_percent=0, most_lag=0, force=True)
            self._say(f"{name} answers")

    def _until_exact(self, crew: Crew, source: Merge, witness: Auditor) -> Answer:
        steady = 0
        bound_s = BOUND_S + crew.settings.window_hours * 3600
        for answer, exact in self._watch(crew, source, witness, bound_s):
            steady = steady + 1 if exact else 0
            self.progress(f"repair: {self.looks[-1].wrong_cells:,} cells are wrong")
            if steady == STEADY:
                return answer
        raise InexactError(f"the numbers of {crew.settings.mode} are not exact {bound_s:g} s after the repair")

    def _watch(self, crew: Crew, source: Merge, witness: Auditor, seconds: float) -> Iterator[tuple[Answer, bool]]:
        """Each answer of so many seconds, and whether it is exact; those in which there is none left out."""
        end = self.clock() + seconds
        while self.clock() < end:
            found = self._look_once(crew, source, witness)
            if found is not None:
                yield found

    def _look_once(self, crew: Crew, source: Merge, witness: Auditor) -> tuple[Answer, bool] | None:
        began = self.clock()
        crew.tick()
        crew.check()
        found = None
        try:
            answer = source.answer()
        except UnavailableError:
            # no view yet: that the roles live is checked
            answer = None
        if answer is not None and answer.total.sales:
            witness.read_until(answer.vector)
            found = answer, self._look(answer, witness.ledger)
        self._stop.wait(max(0.0, LOOK_EVERY_S - (self.clock() - began)))
        return found

    def _look(self, answer: Answer, ledger: Ledger) -> bool:
        if self._began is None:
            self._began = self.clock()
        verdict = compare(answer, ledger)
        floor = max(answer.floor, ledger.sound_from)
        truth = ledger.expected(answer.vector, answer.cut_epoch, floor).totals()
        parts = [f"batch view v{answer.batch.manifest.version}"] if answer.batch else []
        if answer.speed is not None:
            parts.append("speed view" + (f" {answer.speed.job.name}" if answer.speed.job else ""))
        self.looks.append(
            Look(
                self._seconds(),
                answer.total.revenue_cents,
                truth["all", ""].revenue_cents if ("all", "") in truth else 0,
                len({difference.where for difference in verdict.differences}),
                verdict.compared_cells,
                " + ".join(parts),
            )
        )
        return verdict.exact

    def _seconds(self) -> float:
        return 0.0 if self._began is None else self.clock() - self._began

    def _say(self, what: str) -> None:
        self.events.append((self._seconds(), what))
        self.progress(what)


def _sales(ledger: Ledger, vector: Mapping[PartitionKey, int], floor: int = 0) -> int:
    """Sales of the ideal truth at a vector, in epochs at and above a floor."""
    cell = ledger.ideal(vector, floor).totals().get(("all", ""))
    return cell.sales if cell else 0
