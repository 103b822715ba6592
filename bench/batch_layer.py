"""batch: how fast the log is archived and recomputed, in full, by one percent, in SQL, and by plain pandas."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from adapters.kafka.cut import CutFinder
from bench.catch_up import Turn
from bench.contender import Contender, running
from bench.cut_file import write_cut
from bench.goals import Goal
from bench.lap import Lap
from bench.log_filler import LogFiller
from bench.options import Options
from bench.plain_pandas import cells_file
from bench.proof import Proof, ledger_at, prove_batch, prove_cells
from bench.sampler import EVERY_S
from bench.samples import Speed
from bench.screen import Screen
from bench.stage import Stage, stage
from bench.waiting import until
from core.cut import Cut
from core.errors import InexactError
from core.ledger import Ledger
from modes.pipelines import pipeline_of
from modes.settings import Settings
from modes.wiring.answers import auditor
from modes.wiring.lake import raw_table, view_store

ARCHIVE: Final = Contender("archive", "archive", ["bench.batch_job", "archive"])
FULL: Final = Contender("full", "full, pandas engine", ["bench.batch_job", "full"])
DUCKDB: Final = Contender("duckdb", "full, DuckDB engine", ["bench.batch_job", "duckdb"])
PLAIN: Final = Contender("plain", "plain pandas, one frame", ["bench.plain_pandas"])
INCREMENTAL: Final = Contender("incremental", "incremental, the last 1 %", ["bench.batch_job", "incremental"])
TITLES: Final = {each.name: each.title for each in (ARCHIVE, FULL, DUCKDB, PLAIN, INCREMENTAL)}

GOAL_ARCHIVE: Final = 250_000.0
GOAL_FULL: Final = 250_000.0
GOAL_MIB: Final = 2048.0
GOAL_TIMES: Final = 5.0
_MIB: Final = 2**20
#: Short epochs: a cut is at the boundary of one.
_EPOCH_S: Final = 1.0
_JOB_BOUND_S: Final = 1800.0


@dataclass(slots=True)
class BatchLayer:
    """All turns of each contender, in the order of the rounds. `new`: events of the incremental recompute."""

    events: int
    new: int
    turns: dict[str, list[Turn]] = field(default_factory=dict)

    def speeds(self, name: str) -> list[float]:
        """Events a second in each round."""
        return [turn.speed.events_per_s for turn in self.turns[name]]

    def times_faster(self, contender: str, other: str) -> float:
        """How many times less time the contender takes for its work, the median of the rounds."""
        pairs = zip(self.turns[contender], self.turns[other], strict=True)
        return median(two.speed.seconds / one.speed.seconds for one, two in pairs)

    def goals(self) -> list[Goal]:
        """Four."""
        peak = max(turn.speed.peak_mb for turn in self.turns[FULL.name]) * 1e6 / _MIB
        faster = self.times_faster(INCREMENTAL.name, FULL.name)
        return [
            Goal("archive", median(self.speeds(ARCHIVE.name)), "at least", GOAL_ARCHIVE, " events/s"),
            Goal("full recompute", median(self.speeds(FULL.name)), "at least", GOAL_FULL, " events/s"),
            Goal("full recompute, memory", peak, "at most", GOAL_MIB, " MiB"),
            Goal("incremental / full", faster, "at least", GOAL_TIMES, "x"),
        ]


@dataclass(frozen=True, slots=True)
class _Cuts:
    """`base` covers all but the last percent of what `whole` covers."""

    base: Cut
    whole: Cut


def batch_layer(options: Options, screen: Screen) -> BatchLayer:
    """Measures. Raises `InexactError` where a contender counts wrong."""
    with stage(keep=options.keep) as here:
        settings = here.view("batch", mode="batch", epoch_seconds=_EPOCH_S)
        cuts = _fill(here, settings, options, screen)
        screen.say("reading the truth from the log")
        ledger = ledger_at(
            settings, dict(cuts.whole.vector), lambda n: screen.note(f"reading the truth: {n:,} records")
        )
        events = sum(cuts.whole.vector.values())
        result = BatchLayer(events, events - sum(cuts.base.vector.values()))
        for number in range(options.repeat):
            screen.say(f"round {number + 1} of {options.repeat}")
            lake = here.directory / f"lake{number + 1}"
            view = here.view("batch", mode="batch", epoch_seconds=_EPOCH_S, lake=str(lake))
            for name, turn in _Round(here, view, cuts, ledger, screen).turns(result.new).items():
                result.turns.setdefault(name, []).append(turn)
            if not options.keep:
                shutil.rmtree(lake)
    return result


def _fill(here: Stage, settings: Settings, options: Options, screen: Screen) -> _Cuts:
    filler = LogFiller(here, options.seed)
    new = max(1, options.events // 100)
    finder = CutFinder(settings.access, pipeline_of(settings).topics, epoch_ms=settings.rules.epoch_ms, margin_ms=0)
    try:
        screen.say(f"filling the log with {options.events:,} events")
        filler.append(options.events - new, lambda n: screen.note(f"filling the log: {n:,}"))
        base = _cut_at_end(finder, settings)
        filler.append(new, lambda n: screen.note(f"filling the log: {n:,} more"))
        return _Cuts(base, _cut_at_end(finder, settings))
    finally:
        finder.close()


def _cut_at_end(finder: CutFinder, settings: Settings) -> Cut:
    """The cut behind all that is in the log: there is one as soon as the epoch of the last record is over."""
    with auditor(settings) as witness:
        ends = witness.ends_now()
    until(lambda: finder.find(ends.keys).vector == ends, "a cut at the end of the log")
    return finder.find(ends.keys)


class _Round:
    """Every contender once, each in a process of its own, on one archive."""

    def __init__(self, here: Stage, view: Settings, cuts: _Cuts, ledger: Ledger, screen: Screen) -> None:
        self._here = here
        self._view = view
        self._cuts = cuts
        self._ledger = ledger
        self._screen = screen

    def turns(self, new: int) -> dict[str, Turn]:
        """By name. `new`: events of the incremental recompute."""
        whole = self._cuts.whole
        events = sum(whole.vector.values())
        found = {
            ARCHIVE.name: self._turn(ARCHIVE, whole, events, self._archived),
            FULL.name: self._turn(FULL, whole, events, lambda _: self._published(FULL)),
            DUCKDB.name: self._turn(DUCKDB, whole, events, lambda _: self._published(DUCKDB)),
            PLAIN.name: self._turn(PLAIN, None, events, self._plain),
        }
        # the version that the incremental recompute begins from; not measured
        self._run(FULL, self._cuts.base)
        return found | {INCREMENTAL.name: self._turn(INCREMENTAL, whole, new, self._continued)}

    def _turn(self, contender: Contender, cut: Cut | None, events: int, prove: Callable[[Lap], Proof]) -> Turn:
        lap, peak = self._run(contender, cut)
        proof = prove(lap)
        speed = Speed(events, lap.seconds, events / lap.seconds, lap.cpu_s / events * 1e6, peak / 1e6)
        self._screen.say(f"  {contender.title}: right, {lap.seconds:.2f} s, {speed.events_per_s:,.0f} events/s")
        return Turn(proof, speed)

    def _run(self, contender: Contender, cut: Cut | None) -> tuple[Lap, int]:
        """The lap, and the most resident bytes; pages that processes share count in each of them."""
        files = [self._here.directory / name for name in ("cut.json", "lap.json")]
        files[1].unlink(missing_ok=True)
        if cut is None:
            del files[0]
        else:
            write_cut(files[0], cut)
        job = Contender(contender.name, contender.title, [*contender.arguments, *map(str, files)])
        peak = 0

        def look() -> None:
            nonlocal peak
            peak = max(peak, run.usage()[1])
            self._screen.note(f"{contender.title}: {peak / 1e6:,.0f} MB")

        with running(job, self._here, self._view) as run:
            run.finish(_JOB_BOUND_S, EVERY_S, look)
        return Lap.read(files[-1]), peak

    def _archived(self, lap: Lap) -> Proof:
        """As many rows as records, up to the cut; what is in them is proved by all who count them."""
        vector = self._cuts.whole.vector
        records = sum(vector.values())
        if lap.counters["archived"] != records or raw_table(self._view).positions() != vector:
            raise InexactError(f"the archive has {lap.counters['archived']:,} rows of {records:,} records")
        return Proof(records, 0)

    def _published(self, contender: Contender) -> Proof:
        return prove_batch(contender.title, self._view, dict(self._cuts.whole.vector), self._ledger)

    def _continued(self, _: Lap) -> Proof:
        manifest = view_store(self._view).current()
        if manifest is None or manifest.full:
            raise InexactError(f"{INCREMENTAL.title}: everything was counted anew")
        return self._published(INCREMENTAL)

    def _plain(self, lap: Lap) -> Proof:
        vector = dict(self._cuts.whole.vector)
        return prove_cells(PLAIN.title, self._view, cells_file(self._view), lap.counters, vector, self._ledger)
