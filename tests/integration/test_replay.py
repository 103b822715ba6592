"""Kappa: the log is counted again beside the version that answers, compared, switched to and back.

FOURFOLD_REPLAY_SECONDS: how long each version answers under pollers; FOURFOLD_TEST_POLLERS: how many there are.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import psutil
import pytest

from adapters.kafka.log import Entry
from core import truth
from modes.settings import Settings
from modes.up import api_port
from modes.wiring.speed import jobs
from tests.support.boundary_poller import ApiPoller, MergePoller, Poller
from tests.support.chaos import SOURCES, Stage, World
from tests.support.chaos_audit import Audit
from tests.support.chaos_crew import Crew
from tests.support.killed_switch import MOMENTS
from tests.support.product import command, run
from tests.support.shop import CLAIMS
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.chaos]

SECONDS = float(os.environ.get("FOURFOLD_REPLAY_SECONDS", "1"))
SEED = int(os.environ.get("FOURFOLD_CHAOS_SEED", "0")) or Random().randrange(1, 1_000_000)
RATE = int(os.environ.get("FOURFOLD_CHAOS_RATE", "100"))
API_POLLERS, MERGE_POLLERS = int(os.environ.get("FOURFOLD_TEST_POLLERS", "3")), 1
PAUSE_S = 0.1
START_BOUND_S = 90.0
#: How often commands are killed at each of their moments.
ROUNDS = 2 if SECONDS > 1 else 1
never = threading.Event()


class PriceOnlyAudit(Audit):
    """The truth of a logic that takes a sale's price for its revenue."""

    def _take(self, entry: Entry) -> None:
        headers = []
        for name, value in entry.headers:
            claim = CLAIMS.decode(value) if name == truth.HEADER else None
            if claim is not None and claim.units:
                wrong = msgspec.structs.replace(claim, revenue_cents=claim.revenue_cents // claim.units)
                headers.append((name, CLAIMS.encode(wrong)))
            else:
                headers.append((name, value))
        super()._take(entry._replace(headers=headers))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with Stage(tmp_path_factory.mktemp("replay"), SEED, RATE) as stage:
        settings = stage.view("replayed", mode="kappa", epoch_seconds=1.0, horizon_epochs=2)
        settings = settings.model_copy(update={"api_port": api_port(settings)})
        with stage.crew(settings) as crew:
            crew.start("process")
            crew.start("serve")
            until(lambda: counted(settings, "v1") > 5 * RATE, within_s=START_BOUND_S, what="v1 to count")
            yield World(stage, settings, crew)


def counted(settings: Settings, name: str) -> int:
    registry = jobs(settings)
    try:
        return sum(position.next for position in registry.positions(name).values())
    finally:
        registry.close()


def fourfold(settings: Settings, *arguments: str, code: int = 0) -> str:
    done = command(settings, "replay", *arguments)
    assert done.returncode == code, (arguments, done.stdout, done.stderr)
    return done.stdout or done.stderr


def workers_of(name: str) -> list[psutil.Process]:
    """The worker processes of a version that this test has started."""
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            if " ".join(child.cmdline()).split()[-3:] == ["process", "--job", name]:
                found.append(child)
        except psutil.Error:
            continue
    return found


def diff(settings: Settings, before: str, after: str) -> dict[str, Any]:
    """The diff, once there is something to compare."""

    def found() -> dict[str, Any] | None:
        done = command(settings, "replay", "diff", before, after, "--json")
        assert done.returncode in (0, 1), done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document if document["compared_cells"] else None

    return until(found, within_s=30, what="an epoch that both have counted")


def active(settings: Settings) -> str:
    """The version that answers."""
    registry = jobs(settings)
    try:
        return registry.read().active
    finally:
        registry.close()


def kill_switches(settings: Settings) -> None:
    """Switches to and fro by commands that are killed before, within and after what they do."""
    for moment in MOMENTS * ROUNDS:
        before = active(settings)
        other = "v2" if before == "v1" else "v1"
        killed = ["tests.support.killed_switch", moment]
        done = run(settings, "replay", "switch", other, "--force", program=killed, timeout_s=START_BOUND_S)
        assert done.returncode == -signal.SIGKILL, (moment, done.stderr)
        assert active(settings) == (other if moment == "after" else before), moment


def kill_serving(crew: Crew, pollers: list[Poller]) -> None:
    """Kills the API once; returns when each poller has an answer of the next one, and is refused no more."""
    (serve,) = [child for child in crew.running if child.arguments == ["serve"]]
    crew.send(serve, signal.SIGKILL)
    killed = time.time()
    over_http = [poller for poller in pollers if isinstance(poller, ApiPoller)]
    until(lambda: any(poller.refused for poller in over_http), within_s=10, what="the API to be missed")
    until(
        lambda: all(poller.polled[-1].at > killed + 1 for poller in over_http),
        within_s=START_BOUND_S,
        what="the API to answer again",
    )
    refused = [list(poller.refused) for poller in over_http]
    never.wait(SECONDS)
    assert [poller.refused for poller in over_http] == refused


def job_of(polled: Any) -> str:
    answer = polled.answer
    if isinstance(answer, Mapping):
        return str(answer["provenance"]["job"])
    return str(answer.speed.job.name)


@pytest.mark.timeout(300)
def test_a_killed_replay_equals_the_version_that_answers(world: World) -> None:
    stage, settings, _ = world
    fourfold(settings, "switch", "v2", code=2)
    starting = threading.Thread(target=run, args=(settings, "replay", "start", "--as", "v2"))
    starting.start()
    killed = 0
    for wanted in (1, 4 * RATE):
        until(lambda w=wanted: counted(settings, "v2") > w, within_s=START_BOUND_S, what="v2 to count")  # type: ignore[misc]
        for worker in until(lambda: workers_of("v2"), within_s=START_BOUND_S, what="a worker of v2"):
            worker.kill()
            killed += 1
    starting.join(START_BOUND_S)
    assert killed >= 2
    assert not starting.is_alive()
    found = diff(settings, "v1", "v2")
    assert found["equal"], found
    assert found["compared_cells"] > 20
    assert stage.notes == []
    fourfold(settings, "retire", "v2")


@pytest.mark.timeout(300)
def test_under_pollers_each_answer_is_wholly_of_one_version(world: World, say: Callable[[str], None]) -> None:
    """Ends the producers and the roles: it comes last."""
    stage, settings, crew = world
    with ExitStack() as stack:
        fourfold(settings, "start", "--as", "v2", "--logic", "price-only")
        found = diff(settings, "v1", "v2")
        assert not found["equal"]
        assert {m for m, total in found["totals"].items() if total["percent"]} == {"revenue_cents"}
        assert "differs from v1" in fourfold(settings, "switch", "v2", code=1)
        pollers: list[Poller] = [MergePoller(settings, 2 * PAUSE_S) for _ in range(MERGE_POLLERS)]
        pollers += [ApiPoller(settings.api_host, settings.api_port, PAUSE_S) for _ in range(API_POLLERS)]
        for poller in pollers:
            poller.start()
        for arguments in (["switch", "v2", "--max-diff", "100"], ["rollback"]):
            never.wait(SECONDS)
            fourfold(settings, *arguments)
        never.wait(SECONDS)
        kill_switches(settings)
        assert [words for poller in pollers for words in poller.refused] == []
        kill_serving(crew, pollers)
        if active(settings) != "v2":
            fourfold(settings, "switch", "v2", "--force")
        fourfold(settings, "retire", "v1")
        never.wait(SECONDS)
        for poller in pollers:
            poller.stop()
        until(lambda: not workers_of("v1"), within_s=20, what="the workers of v1 to end")
        stage.end_producers()
        for child in list(crew.running):
            crew.remove(child, 15)
        polled = sorted((p for poller in pollers for p in poller.polled), key=lambda p: sum(p.vector.values()))
        audits = {
            "v1": stack.enter_context(stage.audit(settings)),
            "v2": stack.enter_context(PriceOnlyAudit(settings.access, SOURCES, settings.rules)),
        }
        wrong, seen = [], Counter()
        for name, audit in audits.items():
            audit.read_to(audit.ends())
            for at, answer, _ in [each for each in polled if job_of(each) == name]:
                seen[name] += 1
                differences = (
                    audit.document_differences(answer) if isinstance(answer, dict) else audit.answer_differences(answer)
                )
                if differences:
                    wrong.append(f"{at:.3f} {name}: {len(differences)} wrong, {differences[:3]}")
        refused = [words for poller in pollers for words in poller.refused]
    say(f"switch, FOURFOLD_CHAOS_SEED={SEED}: {dict(seen)} answers, {len(wrong)} wrong, {len(refused)} refused")
    assert not wrong, wrong[:3]
    # only while the API was killed, and until it had read its first answer
    others = [words for words in refused if not words.startswith(("API: ", "there is no answer yet"))]
    assert not others, others[:3]
    assert min(seen["v1"], seen["v2"]) > SECONDS * 10
    assert set(seen) == {"v1", "v2"}


@pytest.mark.timeout(120)
def test_a_version_that_nobody_counts_is_said(tmp_path: Path, settings: Settings) -> None:
    there = settings.model_copy(update={"mode": "kappa"})
    assert "no version of the job runs yet" in fourfold(there, "start", "--as", "v2", code=1)
    assert "no version of the job runs yet" in fourfold(there, "status")
    lone = settings.model_copy(update={"mode": "streaming"})
    assert "reprocessing is for FOURFOLD_MODE=kappa" in fourfold(lone, "status", code=2)
