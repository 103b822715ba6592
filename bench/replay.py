"""replay: how fast a second version of the job counts the whole log while the first one goes on answering live traffic."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from adapters.speed.jobs import FIRST
from adapters.speed.keys import view_of
from bench.catch_up import Turn
from bench.contender import SHIPPED, Run, running
from bench.freshness import WARM_UP_S, appended, stay
from bench.goals import Goal
from bench.log_filler import LogFiller
from bench.options import Options
from bench.prober import Prober
from bench.producer import PRODUCER
from bench.proof import ledger_at, prove
from bench.sampler import Enough, vector_of, watch
from bench.samples import Sample, speed
from bench.screen import Screen
from bench.stage import Stage, stage
from bench.waiting import until
from core.declaration.pipeline import STANDARD
from core.errors import InexactError
from core.position import Vector
from modes.race.latency import Latency, latencies, summary
from modes.replay import Replay
from modes.settings import Settings
from modes.wiring.answers import auditor

RATE: Final = 1_000.0
SECOND: Final = "v2"
LEAST_SHARE: Final = 0.8
FRESH_MS: Final = 1_000.0
#: A look in so many seconds is enough for a bound of a second, and takes less from the workers.
_LOOK_S: Final = 0.005


@dataclass(frozen=True, slots=True)
class Round:
    """`alone`: the first version catches up and nothing else runs. `beside`: the second one, under live traffic.

    `fresh` is the first version's freshness while the second one replays.
    """

    alone: Turn
    beside: Turn
    fresh: Latency
    compared_cells: int


@dataclass(slots=True)
class Replays:
    """All rounds. `rate`: of the live traffic."""

    events: int
    rate: float
    rounds: list[Round] = field(default_factory=list)

    def share(self) -> float:
        """The speed of a replay as a share of a catch-up's, each within its round; the median."""
        return median(each.beside.speed.events_per_s / each.alone.speed.events_per_s for each in self.rounds)

    def p99_ms(self) -> float:
        """The first version's freshness; the median of the rounds."""
        return median(each.fresh.p99_ms for each in self.rounds)

    def goals(self) -> list[Goal]:
        """Issue and design ask for both."""
        return [
            Goal("replay / catch-up", self.share(), "at least", LEAST_SHARE, "x"),
            Goal("p99 of the live version meanwhile", self.p99_ms(), "at most", FRESH_MS, " ms"),
        ]


def replays(options: Options, screen: Screen) -> Replays:
    """Measures. Raises `InexactError` where a version counts wrong, or the two differ."""
    result = Replays(options.replay_events, RATE)
    with stage(keep=options.keep) as here:
        screen.say(f"filling the log with {options.replay_events:,} events")
        LogFiller(here, options.seed).append(options.replay_events, lambda n: screen.note(f"filling the log: {n:,}"))
        for number in range(1, options.repeat + 1):
            screen.say(f"round {number} of {options.repeat}")
            found = _round(here, number, options, screen)
            speeds = (found.alone.speed.events_per_s, found.beside.speed.events_per_s)
            screen.say(
                f"  equal in {found.compared_cells:,} cells, alone {speeds[0]:,.0f} events/s, beside {speeds[1]:,.0f}, "
                f"live p99 {found.fresh.p99_ms:.0f} ms"
            )
            result.rounds.append(found)
    return result


def _round(here: Stage, number: int, options: Options, screen: Screen) -> Round:
    here.clear_redis()
    view = here.view(f"replay{number}", mode="kappa")
    with running(SHIPPED, here, view) as host:
        ends = _ends(view)
        alone = watch(host, here.redis, view_of(view.view, FIRST), _Reached(ends), _progress(screen, "alone", ends))
        traffic = here.view(f"produce{number}", rate=RATE, seed=options.seed + number)
        with running(PRODUCER, here, traffic) as source:
            stay(WARM_UP_S, "live traffic", screen, host, source)
            beside, fresh = _beside(here, view, host, source, screen)
        ends = _ends(view)
        for name in (FIRST, SECOND):
            until(lambda n=name: vector_of(here.redis, view_of(view.view, n)) == ends, f"{name} to count all", host)  # type: ignore[misc]
        screen.say("  reading the truth from the log")
        ledger = ledger_at(view, ends, lambda _: None)
        proofs = [prove(name, view.model_copy(update={"job": name}), ledger) for name in (FIRST, SECOND)]
        with Replay(view) as replay:
            found, _ = replay.diff(FIRST, SECOND)
        if not found.equal or not found.compared:
            raise InexactError(f"{FIRST} and {SECOND} differ at the same offsets: {found.changes[:3]}")
    return Round(Turn(proofs[0], speed(alone)), Turn(proofs[1], speed(beside)), fresh, found.compared)


def _beside(here: Stage, view: Settings, host: Run, source: Run, screen: Screen) -> tuple[list[Sample], Latency]:
    """The second version counts what is there; how fresh the first one is meanwhile."""
    first = view_of(view.view, FIRST)
    start, ends = vector_of(here.redis, first), _ends(view)
    prober = Prober(view.redis, first, _LOOK_S)
    prober.start()
    began = time.time()
    try:
        with Replay(view) as replay:
            replay.start(SECOND, STANDARD)
        namespace = view_of(view.view, SECOND)
        samples = watch(host, here.redis, namespace, _Reached(ends), _progress(screen, "beside", ends))
        ended = time.time()
    finally:
        source.kill()
        # what was appended last has to become visible, too
        time.sleep(1.0)
        prober.stop()
    meanwhile = [each for each in appended(view, start) if began * 1000 <= each[2] <= ended * 1000]
    return samples, summary(latencies(meanwhile, prober.seen()))


class _Reached(Enough):
    """Each partition has been counted up to an end."""

    def __init__(self, ends: Vector) -> None:
        super().__init__(sum(ends.values()))
        self._ends = ends

    def __call__(self, sample: Sample) -> bool:
        return all(sample.vector.get(source, 0) >= end for source, end in self._ends.items())


def _progress(screen: Screen, what: str, ends: Vector) -> Any:
    total = sum(ends.values())
    return lambda sample: screen.note(f"{what}: {sample.counted:,} of {total:,} records")


def _ends(view: Settings) -> Vector:
    with auditor(view) as witness:
        return witness.ends_now()
