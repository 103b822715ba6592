"""The lambda boundary: batch view and speed view meet without losing or doubling an event, at every instant.

Redis, the broker and the batch process are killed: answers are right again by themselves.

Producers, workers that are killed, batch cycles every few seconds and pollers without pause. Each
answer equals the truth at its own cut and offsets: ideal below the cut, horizon from it on.
FOURFOLD_BOUNDARY_SECONDS makes it longer, FOURFOLD_TEST_POLLERS has more ask, FOURFOLD_CHAOS_SEED repeats a run.
"""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest

from modes.settings import Settings
from modes.up import api_port
from modes.verdict import judge
from modes.wiring.lake import view_store
from tests.support.boundary_ablation import ABLATIONS
from tests.support.boundary_poller import ApiPoller, MergePoller, Poller
from tests.support.chaos import Stage, World
from tests.support.chaos_answers import wrong_answers
from tests.support.chaos_crew import Crew
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.chaos]

SECONDS = float(os.environ.get("FOURFOLD_BOUNDARY_SECONDS", "15"))
SEED = int(os.environ.get("FOURFOLD_CHAOS_SEED", "0")) or Random().randrange(1, 1_000_000)
RATE = int(os.environ.get("FOURFOLD_CHAOS_RATE", "100"))
CYCLE_S = 3.0
API_POLLERS, MERGE_POLLERS = int(os.environ.get("FOURFOLD_TEST_POLLERS", "4")), 1
#: All share two cores: pollers that never pause would leave nothing to the workers.
PAUSE_S = 0.1
START_BOUND_S = 90.0
ABLATION_VERSIONS = 2


def boundary(stage: Stage, **more: Any) -> Settings:
    settings = stage.view(
        "boundary",
        mode="lambda",
        epoch_seconds=1.0,
        horizon_epochs=2,
        batch_seconds=CYCLE_S,
        cut_margin_seconds=1.5,
        **more,
    )
    return settings.model_copy(update={"api_port": api_port(settings)})


def started(stage: Stage, settings: Settings, stack: ExitStack, command: tuple[str, ...] = ()) -> Crew:
    """Two workers and the batch role, once there is a first version."""
    crew = stack.enter_context(stage.crew(settings, command))
    for role in ("process", "process", "batch"):
        crew.start(role)
    until(lambda: view_store(settings).pointer() > 1, within_s=START_BOUND_S, what="the first versions")
    return crew


def dismiss(stage: Stage, crew: Crew) -> None:
    """Ends all that runs: what was polled is looked through with both cores."""
    stage.end_producers()
    for child in list(crew.running):
        crew.remove(child, signal.SIGTERM)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with Stage(tmp_path_factory.mktemp("boundary"), SEED, RATE) as stage, ExitStack() as stack:
        settings = boundary(stage)
        crew = started(stage, settings, stack)
        crew.start("serve")
        yield World(stage, settings, crew)


def asked(settings: Settings) -> tuple[int, dict[str, Any]]:
    """Status and document of the API's totals; 0 where it cannot be reached."""
    try:
        with urllib.request.urlopen(
            f"http://{settings.api_host}:{settings.api_port}/v1/totals", timeout=10
        ) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
    except OSError:
        return 0, {}


def kill_redis(stage: Stage, _: Crew) -> None:
    stage.servers.redis.kill()
    stage.servers.redis.start()


def kill_kafka(stage: Stage, _: Crew) -> None:
    stage.servers.kafka.kill()
    stage.servers.kafka.start()


def kill_batch(_: Stage, crew: Crew) -> None:
    for child in crew.running:
        if child.name.startswith("batch"):
            crew.send(child, signal.SIGKILL)


@pytest.mark.timeout(420)
def test_answers_are_right_again_by_themselves(world: World) -> None:
    stage, settings, crew = world

    def versions_after(number: int) -> Callable[[], bool]:
        """Whether the API answers from a newer version, with nothing else to say."""

        def look() -> bool:
            status, document = asked(settings)
            if status not in (0, 200):
                # a clear refusal, never a wrong number
                assert status == 503, document
                assert document["detail"]
                return False
            source = document.get("provenance", {})
            return status == 200 and (source["batch_version"] or 0) > number and not source["states"]

        return look

    until(versions_after(1), within_s=START_BOUND_S, what="the first versions")
    for fault in (kill_redis, kill_kafka, kill_batch):
        before = view_store(settings).pointer()
        fault(stage, crew)
        until(versions_after(before + 1), within_s=START_BOUND_S, what=f"answers after {fault.__name__}")
        _, verdict = judge(settings)
        assert verdict.exact, (fault.__name__, verdict.differences[:5])
    assert not crew.notes, crew.notes


@pytest.mark.timeout(SECONDS * 6 + 300)
def test_every_answer_is_true_at_its_own_cut_and_offsets(world: World, say: Callable[[str], None]) -> None:
    """Ends the producers and the roles: it comes last."""
    stage, settings, crew = world
    random = Random(SEED)
    first = view_store(settings).pointer()
    pollers: list[Poller] = [MergePoller(settings, 4 * PAUSE_S) for _ in range(MERGE_POLLERS)]
    pollers += [ApiPoller(settings.api_host, settings.api_port, PAUSE_S) for _ in range(API_POLLERS)]
    probe = ApiPoller(settings.api_host, settings.api_port, 0)

    def api_answers() -> bool:
        probe.ask()
        return bool(probe.polled)

    until(api_answers, within_s=START_BOUND_S, what="the API to answer")
    probe.close()
    for poller in pollers:
        poller.start()
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        wait(random.uniform(2, 5))
        victims = [child for child in crew.running if child.name.startswith("process")]
        if victims:
            crew.send(random.choice(victims), signal.SIGKILL)
    for poller in pollers:
        poller.stop()
    versions = view_store(settings).pointer() - first
    notes = [*crew.notes, *stage.notes]
    dismiss(stage, crew)
    with stage.audit(settings) as audit:
        audit.read_to(audit.ends())
        refused = [words for poller in pollers for words in poller.refused]
        answers = sum(len(poller.polled) for poller in pollers)
        wrong = wrong_answers(audit, pollers)
    say(
        f"boundary, FOURFOLD_CHAOS_SEED={SEED}: {audit.records:,} records, {versions} versions, "
        f"{answers:,} different answers, {len(wrong)} wrong, {len(refused)} refused {refused[:1]}"
    )
    assert not wrong, wrong[:3]
    assert not refused, refused[:3]
    assert not notes, notes
    assert versions >= SECONDS / CYCLE_S / 3
    assert answers > SECONDS * 10


@pytest.mark.timeout(300)
@pytest.mark.soak
@pytest.mark.parametrize("name", ABLATIONS)
def test_without_a_rule_answers_are_wrong_or_missing(tmp_path: Path, name: str, say: Callable[[str], None]) -> None:
    ablation = ABLATIONS[name]
    with Stage(tmp_path, SEED, RATE) as stage, ExitStack() as stack:
        settings = boundary(stage)
        started(stage, settings, stack, ("tests.support.boundary_ablation", name))
        pollers: list[Poller] = [MergePoller(settings, 0.02, ablation.reader)]
        pollers[0].start()
        known = view_store(settings).pointer()
        until(
            lambda: view_store(settings).pointer() >= known + ABLATION_VERSIONS,
            within_s=START_BOUND_S,
            what="versions to be published",
        )
        pollers[0].stop()
        audit = stack.enter_context(stage.audit(settings))
        audit.read_to(audit.ends())
        wrong = wrong_answers(audit, pollers)
        refused = pollers[0].refused
    say(f"without {name}: {len(wrong)} of {len(pollers[0].polled)} answers wrong, {len(refused)} refused")
    assert wrong or refused


def wait(seconds: float) -> None:
    """Lets the others work for a while; nothing is waited for."""
    ended = time.monotonic() + seconds
    until(lambda: time.monotonic() > ended, within_s=seconds + 5, what="the time to pass")
