"""catch-up: how fast a log that is there already is counted, by four contenders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from bench.contender import BY_NAME, STOCK, Contender, running
from bench.goals import Goal
from bench.log_filler import LogFiller
from bench.options import Options
from bench.proof import Proof, ledger_at, prove, prove_stock
from bench.sampler import Enough, watch
from bench.samples import Sample, Speed, speed
from bench.screen import Screen
from bench.stage import Stage, stage
from bench.start_gate import StartGate
from core.ledger import Ledger
from core.position import PartitionKey, Vector
from modes.wiring.answers import auditor
from modes.wiring.speed import consumer_group, group_token

#: (name, contender, compared with, at least)
RATIOS: Final = (
    ("fourfold / stock Faust", "shipped", "stock", 15.0),
    ("fourfold / bare loop", "shipped", "bare", 0.85),
    ("two workers / one", "two", "shipped", 1.8),
)


@dataclass(frozen=True, slots=True)
class Turn:
    """One contender, once: proved, then timed."""

    proof: Proof
    speed: Speed


@dataclass(slots=True)
class CatchUp:
    """All turns of each contender, in the order of the rounds."""

    events: int
    turns: dict[str, list[Turn]] = field(default_factory=dict)

    def speeds(self, name: str) -> list[float]:
        """Events a second in each round."""
        return [turn.speed.events_per_s for turn in self.turns.get(name, ())]

    def cpu_ratio(self, contender: str, other: str) -> float:
        """How many times less CPU the contender uses for an event, the median of the rounds."""
        pairs = zip(self.turns[contender], self.turns[other], strict=False)
        return median(two.speed.cpu_s_per_million / one.speed.cpu_s_per_million for one, two in pairs)

    def goals(self) -> list[Goal]:
        """Ratios are taken within a round, where the machine was in the same mood; their median counts."""
        goals = []
        for name, contender, other, least in RATIOS:
            pairs = zip(self.speeds(contender), self.speeds(other), strict=False)
            if ratios := [one / two for one, two in pairs]:
                goals.append(Goal(name, median(ratios), "at least", least, "x"))
        return goals


def catch_up(options: Options, screen: Screen) -> CatchUp:
    """Measures. Raises `InexactError` where a contender counts wrong."""
    result = CatchUp(options.events)
    with stage(keep=options.keep) as here:
        screen.say(f"filling the log with {options.events:,} events")
        LogFiller(here, options.seed).append(options.events, lambda n: screen.note(f"filling the log: {n:,}"))
        with auditor(here.settings) as witness:
            ends = witness.ends_now()
        screen.say("reading the truth from the log")
        ledger = ledger_at(here.settings, ends, lambda n: screen.note(f"reading the truth: {n:,} records"))
        chosen = [BY_NAME[name] for name in options.contenders]
        for number in range(options.repeat):
            # forth and back, so that nobody always comes after the same one
            for contender in chosen if number % 2 == 0 else reversed(chosen):
                name = f"{contender.name}{number + 1}"
                screen.say(f"round {number + 1} of {options.repeat}: {contender.title}")
                turn = _turn(contender, name, here, ends, ledger, options, screen)
                screen.say(f"  right in {turn.proof.cells:,} cells, {turn.speed.events_per_s:,.0f} events/s")
                result.turns.setdefault(contender.name, []).append(turn)
    return result


def _turn(
    contender: Contender, name: str, here: Stage, ends: Vector, ledger: Ledger, options: Options, screen: Screen
) -> Turn:
    here.clear_redis()
    view = here.view(name)
    records = sum(ends.values())
    enough = Enough(options.stock_events, options.stock_s) if contender is STOCK else Enough(records)
    shares: Sequence[frozenset[PartitionKey]] = ()
    gate = None
    if contender.processes > 1:
        # drawn before the gate is closed for writers
        gate = StartGate(here.redis, view.access, consumer_group(view, group_token(view)))

    def progress(sample: Sample) -> None:
        screen.note(f"{contender.title}: {sample.counted:,} of {records:,} records")

    if gate:
        gate.close()
    try:
        with running(contender, here, view) as run:
            if gate:
                screen.note(f"{contender.title}: joining")
                shares = gate.wait(contender.processes, len(ends), run.check)
                gate.open()
            samples = watch(run, here.redis, view.view, enough, progress)
    finally:
        if gate:
            gate.open()
    if contender is STOCK:
        reached: Mapping[PartitionKey, int] = samples[-1].vector
        proof = prove_stock(contender.title, view, here.redis, ledger_at(view, dict(reached), lambda _: None))
    else:
        proof = prove(contender.title, view, ledger)
    return Turn(proof, speed(samples, shares))
