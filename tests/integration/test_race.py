"""The race: exact columns are exact, the truth is independent, freshness is what another probe sees, a stop is clean."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from confluent_kafka import Producer

from core.position import PartitionKey
from modes.catalogue import Role
from modes.crew import Crew
from modes.race.freshness import freshness
from modes.race.lap import Lap
from modes.race.plan import Plan
from modes.race.poller import EVERY_S, Poller
from modes.race.prices import Prices
from modes.race.race import Race
from modes.race.summary import COLUMNS
from modes.settings import Settings, environment
from modes.up import api_port
from tests.support.busy import allowed
from tests.support.events import as_bytes, click
from tests.support.product import answers
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.own_servers, pytest.mark.timeout(300)]

EVENTS = 6_300
#: Questions of a poller that may have told of an event: due so far from when a probe saw it.
NEAR_MS = 250.0
SHORT = Plan(events=EVENTS, rate=900.0, repair=False, throughput=False)


def usual(folder: Path) -> Settings:
    return Settings(data_dir=folder, _env_file=None)


def lives(process: psutil.Process) -> bool:
    """Whether a process runs: one that has ended and that nobody has asked for does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def marked(mark: str) -> bytes:
    """A click of a campaign of its own."""
    return as_bytes(click(int(time.time() * 1000), id=mark, campaign_id=mark))


def exact(lap: dict[str, Any]) -> dict[str, Any]:
    return {column.name: column.value(lap) for column in COLUMNS if column.kind == "exact"} | {
        "counted": lap["counted"]
    }


@pytest.mark.soak
def test_two_races_with_one_seed_are_equal_in_the_exact_columns(tmp_path: Path) -> None:
    race = Race(replace(SHORT, modes=("kappa",), repeat=2), usual(tmp_path), Prices(), ["fourfold", "race"])
    race.run(lambda *_: None)
    document = race.document()
    one, other = document["laps"]
    assert exact(one) == exact(other)
    assert one["counted"]["records"] == EVENTS
    assert one["counted"]["duplicates"] > 100
    assert {document["spread"][column.name] for column in COLUMNS if column.kind == "exact"} == {0.0}
    # what is timed differs, and the report says by how much
    assert document["spread"]["freshness_p99"] > 0


@pytest.mark.parametrize(
    "modes",
    [("batch",), *(pytest.param(modes, marks=pytest.mark.soak) for modes in (("kappa",), ("streaming", "lambda")))],
    ids="-".join,
)
def test_an_error_in_the_fold_is_seen_in_every_mode(tmp_path: Path, modes: tuple[str, ...]) -> None:
    """At the same time: nothing here is timed."""
    plan = replace(SHORT, logic="price-only")
    laps = [Lap(plan, usual(tmp_path / mode), mode, lambda _: None) for mode in modes]
    with ThreadPoolExecutor(len(laps)) as pool:
        found = list(pool.map(Lap.run, laps))
    for lap in found:
        accuracy = lap["counted"]["accuracy"]
        # quantities are more than one on the mean: revenue without them is far too low
        assert accuracy["revenue_cents"] < 0.8, lap["mode"]
        assert lap["accuracy"]["wrong_cells"] > 20
        assert (accuracy["clicks"], accuracy["sales"], accuracy["units"]) == (1.0, 1.0, 1.0)


def test_freshness_agrees_with_a_probe_of_marked_events(settings: Settings) -> None:
    there = settings.model_copy(update={"mode": "kappa", "api_port": 0, "audit": False})
    there = there.model_copy(update={"api_port": api_port(there)})
    api = f"http://{there.api_host}:{there.api_port}"
    producer = Producer(there.access.confluent())
    appended: dict[str, tuple[int, int, int]] = {}

    def send(mark: str) -> None:
        def delivered(error: Any, message: Any) -> None:
            assert error is None
            appended[mark] = (message.partition(), message.offset(), message.timestamp()[1])

        producer.produce("clicks", key=b"u", value=marked(mark), on_delivery=delivered)
        producer.flush(10)

    def campaigns() -> set[str]:
        with urllib.request.urlopen(f"{api}/v1/totals?dimension=campaign", timeout=5) as response:
            return {row["value"] for row in json.load(response)["values"]}

    with Crew(there, without=[Role.PRODUCE]).start():
        until(lambda: answers(api), within_s=60, what="the API")
        send("first")
        until(lambda: "first" in campaigns(), within_s=60, what="the first mark")
        poller = Poller(there.api_host, there.api_port)
        poller.start()
        probed = {}
        for number in range(20):
            mark = f"mark-{number}"
            send(mark)
            until(lambda m=mark: m in campaigns(), within_s=10, every_s=0.005, what=mark)  # type: ignore[misc]
            probed[mark] = time.time() * 1000 - appended[mark][2]
        partition, offset, _ = appended[mark]
        last = {PartitionKey("clicks", partition): offset + 1}
        until(lambda: poller.covered_ms(last), within_s=10, what="the poller's last answer")
        poller.stop()
    for mark, probe_ms in probed.items():
        partition, offset, append_ms = appended[mark]
        raced_ms = 1000 * freshness([(PartitionKey("clicks", partition), offset, append_ms)], poller.seen())["p50"]
        # the poller asks on its own schedule; an answer takes a few ms, or as long as the poller says
        slowest_ms = max(ms for due_ms, ms in poller.latencies if abs(due_ms - append_ms - probe_ms) < NEAR_MS)
        bound_ms = 1000 * EVERY_S + max(1000 * allowed(0.025), slowest_ms)
        assert abs(raced_ms - probe_ms) < bound_ms, (mark, raced_ms, probe_ms, slowest_ms)


def test_an_interrupted_race_leaves_no_process_and_a_report_of_what_is_missing(tmp_path: Path) -> None:
    settings = usual(tmp_path / "data")
    out = tmp_path / "out"
    race = subprocess.Popen(
        [sys.executable, "-m", "modes", "race", "--modes", "kappa,batch", "--out", str(out), "--events", "60k"],
        env={**os.environ, **environment(settings), "FOURFOLD_API_PORT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )

    def mine() -> list[psutil.Process]:
        return psutil.Process(race.pid).children(recursive=True)

    def producing() -> bool:
        try:
            return any("produce" in process.cmdline() for process in mine())
        except psutil.Error:
            # one ended between the list and the question
            return False

    until(producing, within_s=60, what="traffic")
    left = mine()
    race.send_signal(signal.SIGINT)
    shown, _ = race.communicate(timeout=60)
    assert race.returncode == 130
    until(lambda: not [process for process in left if lives(process)], within_s=10, what="all processes to end")
    document = json.loads((out / "report.json").read_text())
    assert document["laps"] == []
    assert document["missing"][:2] == ["kappa, round 1: not run", "batch, round 1: not run"]
    assert "missing: kappa, round 1: not run" in shown
    assert list((tmp_path / "data").glob("race-*")) == []
