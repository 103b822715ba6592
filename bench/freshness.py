"""freshness: from the append of a record to its being visible in Redis, at a steady rate."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

from adapters.kafka.log import Entry, LogReader
from bench.contender import SHIPPED, Contender, Run, running
from bench.goals import Goal
from bench.options import Options
from bench.prober import Prober
from bench.proof import Proof, ledger_at, prove
from bench.sampler import vector_of
from bench.screen import Screen
from bench.stage import Stage, stage
from bench.waiting import until
from core.position import PartitionKey, Vector
from modes.race.latency import Latency, latencies, summary
from modes.settings import Settings

WARM_UP_S: Final = 4.0
GOAL_MS: Final = 50.0


@dataclass(frozen=True, slots=True)
class AtRate:
    """`rate` was asked for; `cpu_share` is the worker's, in cores."""

    rate: float
    latency: Latency
    cpu_share: float
    looks: int
    longest_gap_ms: float


@dataclass(slots=True)
class Freshness:
    """By rate, and one proof at the end over everything."""

    seconds: float
    proof: Proof | None = None
    rates: list[AtRate] = field(default_factory=list)

    def goals(self) -> list[Goal]:
        """The same bound at each rate."""
        return [
            Goal(f"p99 at {at.rate:,.0f} events/s", at.latency.p99_ms, "at most", GOAL_MS, " ms") for at in self.rates
        ]


def freshness(options: Options, screen: Screen) -> Freshness:
    """Measures. Raises `InexactError` where the worker counts wrong."""
    result = Freshness(options.freshness_s)
    with stage(keep=options.keep) as here:
        view = here.view("fresh")
        with running(SHIPPED, here, view) as worker:
            everybody = set(here.sources())
            until(lambda: vector_of(here.redis, view.view).keys() == everybody, "the worker to start", worker)
            for rate in options.rates:
                screen.say(f"{rate:,.0f} events/s for {options.freshness_s:g} s")
                at = _measure(here, view, worker, rate, options, screen)
                screen.say(f"  p50 {at.latency.p50_ms:.1f} ms, p99 {at.latency.p99_ms:.1f} ms")
                result.rates.append(at)
        reached = vector_of(here.redis, view.view)
        result.proof = prove(SHIPPED.title, view, ledger_at(view, reached, lambda _: None))
    return result


def _measure(here: Stage, view: Settings, worker: Run, rate: float, options: Options, screen: Screen) -> AtRate:
    producer = Contender("produce", "producer", ["modes", "produce"])
    settings = here.view(f"produce{rate:g}", rate=rate, seed=options.seed)
    with running(producer, here, settings) as source:
        before = vector_of(here.redis, view.view)
        until(lambda: vector_of(here.redis, view.view) != before, "the producer to start", source)
        stay(WARM_UP_S, "warming up", screen, worker, source)
        start = vector_of(here.redis, view.view)
        prober = Prober(view.redis, view.view)
        prober.start()
        cpu_before, began = worker.usage()[0], time.time()
        try:
            stay(options.freshness_s, f"{rate:,.0f} events/s", screen, worker, source)
            ended, cpu_after = time.time(), worker.usage()[0]
        finally:
            source.kill()
            # what was appended last has to become visible, too
            time.sleep(1.0)
            prober.stop()
    fresh = [
        (source, offset, append_ms)
        for source, offset, append_ms in appended(view, start)
        if began * 1000 <= append_ms <= ended * 1000
    ]
    return AtRate(
        rate=rate,
        latency=summary(latencies(fresh, prober.seen())),
        cpu_share=(cpu_after - cpu_before) / (ended - began),
        looks=prober.looks,
        longest_gap_ms=prober.longest_gap_ms,
    )


def appended(view: Settings, start: Vector) -> list[tuple[PartitionKey, int, int]]:
    """(partition, offset, append time in ms) of each record from `start` to the log's end."""
    with LogReader(view.access, start, start) as reader:
        return [(e.source, e.offset, e.append_ms) for e in reader.read_to_end() if isinstance(e, Entry)]


def stay(seconds: float, text: str, screen: Screen, *runs: Run) -> None:
    """Waits so long. Raises `FourfoldError` where one of the runs ends meanwhile."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        screen.note(f"{text}: {left:.0f} s left")
        for run in runs:
            run.check()
        time.sleep(min(0.5, left))
