"""Redis, the broker and the batch process are killed during lambda: answers are right again by themselves."""

from __future__ import annotations

import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest

from modes.settings import Settings
from modes.up import api_port
from modes.verdict import judge
from modes.wiring.lake import view_store
from tests.support.chaos import Stage
from tests.support.chaos_crew import Crew
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.chaos]

SEED = int(os.environ.get("FOURFOLD_CHAOS_SEED", "0")) or Random().randrange(1, 1_000_000)
RATE = 500
BACK_WITHIN_S = 90.0


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
def test_answers_are_right_again_by_themselves(tmp_path: Path) -> None:
    with Stage(tmp_path, SEED, RATE) as stage, ExitStack() as stack:
        settings = stage.view(
            "recovery",
            mode="lambda",
            epoch_seconds=1.0,
            horizon_epochs=2,
            batch_seconds=2.0,
            cut_margin_seconds=1.5,
        )
        settings = settings.model_copy(update={"api_port": api_port(settings)})
        crew = stack.enter_context(stage.crew(settings))
        for role in ("process", "batch", "serve"):
            crew.start(role)

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

        until(versions_after(1), within_s=BACK_WITHIN_S, what="the first versions")
        for fault in (kill_redis, kill_kafka, kill_batch):
            before = view_store(settings).pointer()
            fault(stage, crew)
            until(versions_after(before + 1), within_s=BACK_WITHIN_S, what=f"answers after {fault.__name__}")
            _, verdict = judge(settings)
            assert verdict.exact, (fault.__name__, verdict.differences[:5])
        assert not crew.notes, crew.notes
