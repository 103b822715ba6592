"""A stream with measures of its own and a dimension, added by the declaration and the generator alone."""

from __future__ import annotations

import json
import signal
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from core.position import PartitionKey
from modes.catalogue import MODES, Role
from modes.crew import Crew
from modes.settings import Settings
from modes.up import api_port
from modes.verdict import judge
from modes.wiring.answers import auditor
from modes.wiring.kafka import wait_for_topics
from producers.emitter import Emitter
from producers.pacer import Pacer
from producers.role import run
from tests.support.counting import counting, whole
from tests.support.extended_shop import ADDED, PIPELINE, ExtendedShop, written
from tests.support.product import command
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

SECONDS, RATE = 8, 500
LONG = 120
MOST_LINES = 15


@pytest.fixture
def extended(settings: Settings, tmp_path: Path) -> Iterator[Settings]:
    """Settings of the extended shop, with its topics."""
    own = settings.model_copy(
        update={
            "pipeline": str(written(tmp_path)),
            "epoch_seconds": 1.0,
            "horizon_epochs": LONG,
            "cut_margin_seconds": 0.5,
        }
    )
    wait_for_topics(own)
    yield own
    admin = AdminClient(own.access.confluent())
    admin.delete_topics(["refunds"])["refunds"].result(10)


def asked(settings: Settings, path: str) -> Any:
    with urllib.request.urlopen(f"http://{settings.api_host}:{settings.api_port}{path}", timeout=10) as response:
        return json.load(response)


def ends(settings: Settings) -> dict[PartitionKey, int]:
    with auditor(settings) as witness:
        return witness.ends_now()


def test_all_modes_have_what_the_declaration_adds(extended: Settings) -> None:
    assert sum(map(len, ADDED.values())) <= MOST_LINES
    shop = ExtendedShop(11, extended.namespace)
    traffic = threading.Thread(
        target=lambda: run(
            Emitter(extended.access.confluent()),
            shop,
            Pacer(RATE),
            threading.Event(),
            lambda _: None,
            duration_s=SECONDS,
        )
    )
    own = extended.model_copy(update={"mode": "lambda", "namespace": f"{extended.namespace}-chaos"})
    own = own.model_copy(update={"group": own.namespace, "lake": extended.data_dir / "lake", "api_port": api_port(own)})
    with Crew(own, without=[Role.PRODUCE], batch_every=0.5).start() as crew:
        traffic.start()
        for role in (Role.PROCESS, Role.BATCH, Role.PROCESS):
            until(lambda: seen(own)["refunds"] > 0, within_s=60, what="refunds to be counted")
            (child,) = (child for child in crew.supervisor.children if child.name == role)
            before = child.process
            assert before is not None
            before.send_signal(signal.SIGKILL)
            until(lambda c=child, b=before: crew.tick() or c.process is not b, within_s=60, what=f"another {role}")  # type: ignore[misc]
        traffic.join()
        answer = whole(own, ends(own), tick=crew.tick)
        _, verdict = judge(own)
        assert verdict.exact, verdict.differences[:5]
        # everything is in a batch version by now
        document = until(
            lambda: (d := asked(own, "/v1/totals"))["totals"]["refunds"] == shop.refunds and d,
            within_s=30,
            what="the API to have all",
        )
        by_device = asked(own, "/v1/top?dimension=device&measure=clicks")
        schema = json.dumps(asked(own, "/openapi.json"))
    totals = dict(zip(PIPELINE.measures, answer.total, strict=True))
    assert totals == document["totals"]
    assert (totals["refunds"], totals["refunded_cents"]) == (shop.refunds, shop.refunded_cents)
    assert shop.refunds > 50
    assert {row["value"] for row in by_device["values"]} == {"phone", "tablet", "desktop"}
    assert sum(row["clicks"] + row["sales"] for row in by_device["values"]) == totals["clicks"] + totals["sales"]
    assert "refunded_cents" in schema
    for reason, number in shop.spoilt.items():
        assert answer.counters[f"rejected:{reason}"] >= number

    for engine in ("pandas", "duckdb"):
        done = command(own, "recompute", "--full", "--engine", engine)
        assert done.returncode == 0, done.stderr
        again, verdict = judge(own)
        assert verdict.exact, (engine, verdict.differences[:5])
        assert again.cells() == answer.cells(), engine

    for mode in MODES:
        with counting(extended, mode, LONG) as there:
            counted = whole(there, ends(there))
            _, verdict = judge(there)
            assert verdict.exact, (mode, verdict.differences[:5])
            assert counted.cells() == answer.cells(), mode

    contract = json.loads(command(extended, "contract").stdout)
    assert "refunds" in contract["channels"]
    assert "fourfold.refund.v1" in json.dumps(contract)


def seen(settings: Settings) -> dict[str, int]:
    """The totals that the API has; zeros before it answers."""
    try:
        found: dict[str, int] = asked(settings, "/v1/totals")["totals"]
    except OSError:
        return dict.fromkeys(PIPELINE.measures, 0)
    return found
