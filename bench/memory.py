"""memory: whether a worker's memory stays flat over millions of events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bench.contender import SHIPPED, Contender, running
from bench.goals import Goal
from bench.memory_curve import MemoryCurve
from bench.options import Options
from bench.proof import Proof, ledger_at, prove
from bench.sampler import Enough, vector_of, watch
from bench.samples import Sample
from bench.screen import Screen
from bench.stage import stage

#: Growth from the second third to the last one.
GOAL_PERCENT: Final = 5.0
#: Short epochs: the duplicate memory holds two of them, and shall be full after the first third.
EPOCH_S: Final = 5.0
_EVERY_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Memory:
    """The curve, with a point at about every million events."""

    events: int
    rate: float
    proof: Proof
    points: list[tuple[int, float]]
    slope_mb_per_million: float
    growth_percent: float

    def goals(self) -> list[Goal]:
        """One."""
        return [Goal("memory, last third against second", self.growth_percent, "at most", GOAL_PERCENT, " %")]


def memory(options: Options, screen: Screen) -> Memory:
    """Measures. Raises `InexactError` where the worker counts wrong."""
    target = options.memory_events
    curve = MemoryCurve()

    def progress(sample: Sample) -> None:
        if sample.counted:
            curve.add(sample.counted, sample.resident)
        screen.note(f"counted {sample.counted:,} of {target:,}, {sample.resident / 1e6:,.0f} MB")

    with stage(keep=options.keep) as here:
        view = here.view("memory", epoch_seconds=EPOCH_S)
        producer = Contender("produce", "producer", ["modes", "produce"])
        source = here.view("produce", rate=options.memory_rate, seed=options.seed)
        screen.say(f"{target:,} events at {options.memory_rate:,.0f} events/s, epochs of {EPOCH_S:g} s")
        with running(SHIPPED, here, view) as worker, running(producer, here, source):
            watch(worker, here.redis, view.view, Enough(target), progress, _EVERY_S)
        screen.say("reading the truth from the log")
        reached = vector_of(here.redis, view.view)
        ledger = ledger_at(view, reached, lambda n: screen.note(f"reading the truth: {n:,} records"))
        proof = prove(SHIPPED.title, view, ledger)
    return Memory(
        target, options.memory_rate, proof, curve.points(1_000_000), curve.slope_mb_per_million, curve.growth_percent
    )
