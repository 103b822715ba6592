"""The bug-fix drill: an error of logic is planted, history passes, it is repaired as the mode can, and all is watched."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from core.cells import Cell
from core.declaration.pipeline import ALL, STANDARD, Logic, Measure, Pipeline
from core.errors import ConfigurationError, InexactError, UnavailableError
from core.ledger import Ledger
from core.position import PartitionKey
from modes.crew import Crew
from modes.fork_server import ForkServer
from modes.pipelines import pipeline_of
from modes.replay import Replay
from modes.settings import Settings
from modes.wiring.answers import auditor, merge
from modes.wiring.kafka import wait_for_topics
from serving.answer import Answer
from serving.auditor import Auditor
from serving.measures import money_of
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
    """One answer beside the truth at its offsets. `seconds`: since the first event; `seen` of `measure`, and `true`."""

    seconds: float
    measure: str
    seen: int
    true: int
    wrong_cells: int
    cells: int
    from_: str

    @property
    def error(self) -> float:
        """Share of what is true."""
        return abs(self.seen - self.true) / self.true if self.true else 0.0

    def as_json(self) -> dict[str, Any]:
        """For people and pages."""
        return {
            "seconds": round(self.seconds, 2),
            self.measure: self.seen,
            f"true_{self.measure}": self.true,
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
    def _pipeline(self) -> Pipeline:
        return pipeline_of(self.settings)

    @property
    def _measure(self) -> Measure:
        """What is counted wrong: the first measure of the error."""
        return next(iter(self._wrong.measures.values()))

    @property
    def _wrong(self) -> Logic:
        """The error: the first logic of the pipeline. Raises `ConfigurationError` where it has none."""
        pipeline = self._pipeline
        if not pipeline.logics:
            raise ConfigurationError(
                f"the pipeline {pipeline.name} declares no logic that counts otherwise: the drill needs one to repair"
            )
        return next(iter(pipeline.logics.values()))

    def run(self) -> dict[str, Any]:
        """The document of `fourfold drill bugfix --json`. Raises `FourfoldError` where a part cannot run or go on."""
        wrong = self.settings.model_copy(update={**self.short, "logic": self._wrong.name})
        with ExitStack() as stack:
            launcher = stack.enter_context(ForkServer.for_roles(wrong.mode_row.roles))
            wait_for_topics(wrong)
            crew = stack.enter_context(Crew(wrong, batch_every=wrong.batch_seconds, launcher=launcher).start())
            witness = stack.enter_context(auditor(wrong))
            source = merge(wrong)
            stack.callback(source.close)
            return self._drill(crew, source, witness)

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
        counted = self._events(witness.ledger, answer.vector)
        in_answer = self._events(witness.ledger, answer.vector, answer.floor)
        self._say(f"the error is found; repair: {row.repair}")
        right = crew.settings.model_copy(update={"logic": STANDARD})
        if row.job_versions:
            self._replay(crew, source, witness, right)
        else:
            crew.restart(right)
        final = self._until_exact(crew, source, witness)
        exact_at = self.looks[-STEADY].seconds
        repaired = self._events(witness.ledger, answer.vector, final.floor)
        self.events.append((exact_at, "every number is exact again"))
        stream = self._measure.stream
        return {
            "mode": row.name,
            "repair": row.repair,
            "wrong_logic": self._wrong.description,
            "history_seconds": self.history_s,
            "wrong_seconds": round(exact_at, 2),
            "repair_seconds": round(exact_at - found_at, 2),
            "measure": self._measure.name,
            "money": money_of(self._measure.unit),
            "stream": stream,
            f"{stream}_counted_wrong": counted,
            f"{stream}_out_of_reach_when_found": counted - in_answer,
            f"{stream}_repaired": repaired,
            f"{stream}_never_repaired": counted - repaired,
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
        if answer is not None and self._events_in(answer.total):
            witness.read_until(answer.vector)
            found = answer, self._look(answer, witness.ledger)
        self._stop.wait(max(0.0, LOOK_EVERY_S - (self.clock() - began)))
        return found

    def _look(self, answer: Answer, ledger: Ledger) -> bool:
        if self._began is None:
            self._began = self.clock()
        verdict = compare(answer, ledger, self._pipeline)
        floor = max(answer.floor, ledger.sound_from)
        place = list(self._pipeline.measures).index(self._measure.name)
        truth = ledger.expected(answer.vector, answer.cut_epoch, floor).totals()
        parts = [f"batch view v{answer.batch.manifest.version}"] if answer.batch else []
        if answer.speed is not None:
            parts.append("speed view" + (f" {answer.speed.job.name}" if answer.speed.job else ""))
        self.looks.append(
            Look(
                self._seconds(),
                self._measure.name,
                answer.total[place],
                truth.get((ALL, ""), answer.zero)[place],
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

    def _events(self, ledger: Ledger, vector: Mapping[PartitionKey, int], floor: int = 0) -> int:
        """Events of the ideal truth at a vector that the error concerns, in epochs at and above a floor."""
        return self._events_in(ledger.ideal(vector, floor).totals().get((ALL, ""), self._pipeline.zero))

    def _events_in(self, cell: Cell) -> int:
        """Events of the measure's stream. Raises `ConfigurationError` where no measure counts them."""
        place = self._pipeline.counted.get(self._measure.stream)
        if place is None:
            raise ConfigurationError(f"no measure counts the events of {self._measure.stream}: the drill needs one")
        return cell[place]
