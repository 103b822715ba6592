"""producer: how many events one producing process gets acknowledged, dirt and headers and all."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from adapters.kafka.log import Entry, LogReader
from bench.claims import Claims
from bench.contender import Contender, Run, running
from bench.goals import Goal
from bench.options import Options
from bench.samples import Sample, Speed, speed
from bench.screen import Screen
from bench.stage import stage
from bench.waiting import STALL_S
from core.errors import FourfoldError, InexactError, UnavailableError
from modes.pipelines import pipeline_of

GOAL: Final = 100_000.0
_EVERY_S: Final = 0.25
_STOP_BOUND_S: Final = 40.0
PRODUCER: Final = Contender("produce", "producer", ["modes", "produce"])


@dataclass(frozen=True, slots=True)
class Production:
    """`speed` is that of the log's ends: what the broker has acknowledged."""

    speed: Speed
    records: int
    duplicates: int
    rejected: int

    def goals(self) -> list[Goal]:
        """One."""
        return [Goal("one producing process", self.speed.events_per_s, "at least", GOAL, " events/s")]


def production(options: Options, screen: Screen) -> Production:
    """Measures. Raises `InexactError` where events are missing or there twice by accident."""
    with stage(keep=options.keep) as here:
        settings = here.view("produce", rate=0.0, seed=options.seed)
        with LogReader(settings.access, here.sources()) as reader:
            screen.say(f"producing as fast as possible for {options.producer_s:g} s")
            with running(PRODUCER, here, settings) as run:
                samples = _watch(run, reader, options.producer_s, screen)
                _stop(run)
        claims = Claims(pipeline_of(settings))
        with LogReader(settings.access, here.sources()) as reader:
            for entry in reader.read_to_end():
                if isinstance(entry, Entry):
                    claims.add(entry)
                screen.note(f"checking: {claims.records:,} records")
    if trouble := claims.trouble():
        raise InexactError(f"the producer: {'; '.join(trouble)}")
    found = speed(samples)
    screen.say(f"  right in {claims.records:,} records, {found.events_per_s:,.0f} events/s")
    return Production(found, claims.records, claims.duplicates, claims.rejected)


def _watch(run: Run, reader: LogReader, seconds: float, screen: Screen) -> list[Sample]:
    samples: list[Sample] = []
    end: float | None = None
    patience = time.monotonic() + STALL_S
    while time.monotonic() < (end or patience):
        run.check()
        time.sleep(_EVERY_S)
        try:
            vector = {source: last for source, (_, last) in reader.bounds().items()}
        except UnavailableError:
            # topics just made have no leader for a moment
            if samples and samples[-1].counted:
                raise
            continue
        sample = Sample(time.monotonic(), vector, *run.usage())
        samples.append(sample)
        if end is None and sample.counted:
            end = sample.at_s + seconds
        screen.note(f"producing: {sample.counted:,}")
    if end is None:
        raise FourfoldError(f"nothing was produced for {STALL_S:g} s")
    return samples


def _stop(run: Run) -> None:
    """A stop as a person does it: what is under way still arrives."""
    for process in run.processes:
        process.terminate()
        if process.wait(_STOP_BOUND_S):
            raise FourfoldError("the producer did not end well")
