"""Workers, Redis and Kafka are killed at random; every sample of the view is exact all the same.

The truth is compared at every instant, not at the end: final totals match in many a wrong run.
FOURFOLD_CHAOS_SEED repeats a run, FOURFOLD_CHAOS_SECONDS makes it longer, and `make soak` switches off the
rules, one at a time, to see that samples get wrong.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from modes.wiring.speed import consumer_group, group_token
from tests.support.busy import allowed
from tests.support.chaos import SOURCES, Stage
from tests.support.chaos_audit import Audit
from tests.support.chaos_faults import (
    FAULTS,
    Fault,
    Hands,
    Recovery,
    empty_redis,
    end_worker,
    freeze_worker,
    kill_worker,
    rebalance_without_redis,
    tear_redis,
)
from tests.support.chaos_group import Group
from tests.support.chaos_inspector import Inspector
from tests.support.chaos_pulse import Pulse
from tests.support.chaos_sampler import Sampler
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.chaos]

SECONDS = float(os.environ.get("FOURFOLD_CHAOS_SECONDS", "45"))
SEED = int(os.environ.get("FOURFOLD_CHAOS_SEED", "0")) or Random().randrange(1, 1_000_000)
ABLATION_S = 80.0
RATE = int(os.environ.get("FOURFOLD_CHAOS_RATE", "100"))
WORKERS = 2
START_BOUND_S = 60.0
CATCH_UP_S = 60.0
#: From the end of a fault until every partition counts again: the session timeout is 6 s of it.
FLOW_LIMIT_S = 10.0


def shuffled(random: Random) -> Iterator[Fault]:
    """Faults without end: each once, in random order, before any comes again."""
    while True:
        yield from random.sample(FAULTS, len(FAULTS))


def table(recoveries: dict[str, list[Recovery]]) -> str:
    lines = [f"{'until events flow again, s':<30} {'count':>5} {'median':>7} {'worst':>7} {'load then':>10}"]
    for what, found in sorted(recoveries.items()):
        median, worst = statistics.median(r.seconds for r in found), max(found)
        lines.append(f"{what:<30} {len(found):>5} {median:>7.1f} {worst.seconds:>7.1f} {worst.load:>10.1f}")
    return "\n".join(lines)


@pytest.mark.timeout(SECONDS * 3 + 300)
def test_every_sample_is_exact_whatever_is_killed(tmp_path: Path, say: Callable[[str], None]) -> None:
    say(f"chaos for {SECONDS:g} s, FOURFOLD_CHAOS_SEED={SEED}")
    random = Random(SEED)
    with Stage(tmp_path, SEED, RATE) as stage:
        settings = stage.view("chaos")
        pulse, sampler = Pulse(settings, SOURCES), Sampler(settings, SEED, max(1.0, SECONDS / 600))
        with stage.crew(settings) as crew:
            for _ in range(WORKERS):
                crew.start("process")
            pulse.start()
            sampler.start()
            assert pulse.flow_after(time.time(), {}, START_BOUND_S) is not None
            hands = Hands(
                stage.servers,
                crew,
                Group(settings.access, lambda: consumer_group(settings, group_token(settings))),
                pulse,
                random,
                say,
            )
            rain(hands, random)
            stage.end_producers()
            with stage.audit(settings) as audit:
                ends = audit.ends()
                until(
                    lambda: {s: p.next for s, p in pulse.last.positions.items()} == ends,
                    within_s=CATCH_UP_S,
                    what="the view to reach the log's end",
                )
                sampler.stop()
                pulse.stop()
                say("all is counted, auditing")
                audit.read_to(ends)
                wrong = wrong_samples(audit, sampler, say)
                letters = audit.dead_letter_differences()
                longest_wait = audit.longest_wait(pulse.looks)
        notes = [*crew.notes, *stage.notes]
    say(
        f"{audit.records:,} records, {audit.rejected:,} to be rejected; {stage.transactions}\n"
        f"{len(sampler.samples)} samples, {sum(s.fresh for s in sampler.samples)} of them by fresh readers, "
        f"{sampler.unanswered} unanswered: {len(wrong)} wrong; {len(letters)} dead letters wrong\n"
        f"longest wait of a record: {longest_wait:.1f} s; {len(notes)} processes ended by themselves {notes}\n{table(hands.recoveries)}\n"
    )
    assert sampler.samples[-1].snapshot.vector == ends
    assert not wrong, wrong[0]
    assert not letters, letters[:5]
    assert not notes
    slow = [
        (what, r)
        for what, found in hands.recoveries.items()
        for r in found
        if r.seconds > allowed(FLOW_LIMIT_S, r.load)
    ]
    assert set(hands.happened) >= {fault.__name__ for fault in FAULTS}, hands.happened
    assert not slow, f"events did not flow again within {FLOW_LIMIT_S:g} s: {slow}"


def rain(hands: Hands, random: Random) -> None:
    """Each fault at least once, and on until the time is over."""
    end = time.monotonic() + SECONDS
    for number, fault in enumerate(shuffled(random), 1):
        first_round = number <= len(FAULTS)
        # later on a fault may come while the one before it still has effects
        if first_round or random.random() < 0.5:
            hands.settle()
        hands.gap(0.3, 2)
        hands.say(fault.__name__)
        fault(hands)
        hands.happened[fault.__name__] += 1
        if number >= len(FAULTS) and time.monotonic() > end:
            return


def wrong_samples(audit: Audit, sampler: Sampler, say: Callable[[str], None]) -> list[str]:
    """For each wrong sample what is wrong with it, in words."""
    wrong = []
    for number, sample in enumerate(sampler.samples):
        if differences := audit.differences(sample.snapshot):
            kind = "a fresh reader's" if sample.fresh else "a"
            wrong.append(f"{kind} sample, number {number}: {len(differences)} wrong, {differences[:5]}")
            if len(wrong) <= 3:
                say(wrong[-1])
    return wrong


class Ablation(NamedTuple):
    """A rule to switch off, and the faults that make its absence felt."""

    rule: str
    faults: tuple[Fault, ...]


ABLATIONS = (
    Ablation("read-committed", ()),
    Ablation("warm-up", (kill_worker, end_worker)),
    Ablation("compare-and-set", (empty_redis, freeze_worker)),
    Ablation("clean-flag", (rebalance_without_redis,)),
    Ablation("chain", (empty_redis, tear_redis, freeze_worker)),
    Ablation("none", (kill_worker, rebalance_without_redis, freeze_worker, empty_redis, tear_redis)),
)


@pytest.mark.timeout(300)
@pytest.mark.soak
@pytest.mark.parametrize("ablation", ABLATIONS, ids=lambda a: a.rule)
def test_without_a_rule_samples_are_wrong(tmp_path: Path, ablation: Ablation, say: Callable[[str], None]) -> None:
    say(f"without {ablation.rule}, FOURFOLD_CHAOS_SEED={SEED}")
    began = time.monotonic()
    with ExitStack() as stack:
        stage = stack.enter_context(Stage(tmp_path, SEED, RATE))
        settings = stage.view("ablation")
        crew = stack.enter_context(stage.crew(settings, ("tests.support.ablation", ablation.rule)))
        for _ in range(WORKERS):
            crew.start("process")
        pulse = Pulse(settings, SOURCES)
        inspector = Inspector(settings, stack.enter_context(stage.audit(settings)))
        pulse.start()
        inspector.start()
        assert pulse.flow_after(time.time(), {}, START_BOUND_S) is not None
        group = Group(settings.access, lambda: consumer_group(settings, group_token(settings)))
        hands = Hands(stage.servers, crew, group, pulse, Random(SEED), say, must_recover=False)
        faults = cycle(ablation.faults)
        while not inspector.wrong and time.monotonic() < began + ABLATION_S:
            fault = next(faults, None)
            if fault is not None:
                fault(hands)
            hands.gap(1, 2)
        inspector.stop()
        pulse.stop()
    say(
        f"without {ablation.rule}: {len(inspector.wrong)} of {inspector.samples} samples wrong "
        f"after {time.monotonic() - began:.0f} s {inspector.wrong[0][:2] if inspector.wrong else ''}\n"
    )
    assert bool(inspector.wrong) == (ablation.rule != "none")
