from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from bench.api import Api
from bench.batch_layer import BatchLayer
from bench.catch_up import CatchUp, Turn
from bench.cli import parse
from bench.freshness import AtRate, Freshness
from bench.goals import Goal
from bench.growth import Growth
from bench.growth_epochs import EpochLength
from bench.growth_reading import MEASURES, Reading, Readings
from bench.growth_writing import Writing
from bench.memory import Memory
from bench.options import DEFAULT_PARTS, Options
from bench.producer import Production
from bench.proof import Proof
from bench.replay import Replays, Round
from bench.report import Result, document, show
from bench.samples import Speed
from modes.race.latency import Latency
from modes.race.machine import Machine

MACHINE = Machine(2, 8.0, "Linux x86_64", "3.11.9", 0.1, {"fourfold": "0.1.0"})


def turn(events_per_s: float, cpu: float = 6.0) -> Turn:
    return Turn(Proof(1000, 50), Speed(1000, 1.0, events_per_s, cpu, 120.0))


def batch_turns() -> dict[str, list[Turn]]:
    def of(events: int, *seconds: float, mb: float = 100.0) -> list[Turn]:
        return [Turn(Proof(1000, 50), Speed(events, s, events / s, 6.0, mb)) for s in seconds]

    return {
        "archive": of(1_000_000, 4.0, 2.0, 3.0),
        "full": of(1_000_000, 4.0, 4.0, 10.0, mb=2200.0),
        "duckdb": of(1_000_000, 8.0, 8.0, 8.0),
        "plain": of(1_000_000, 9.0, 9.0, 9.0),
        "incremental": of(10_000, 0.5, 1.0, 5.0),
    }


def results() -> dict[str, Result]:
    turns = {
        "shipped": [turn(100_000), turn(200_000), turn(150_000)],
        "stock": [turn(5_000, 60), turn(20_000, 120), turn(10_000, 90)],
        "bare": [turn(100_000), turn(200_000), turn(200_000)],
    }
    at = AtRate(50.0, Latency(1500, 5.0, 12.0, 70.0), 0.1, 9000, 4.0)
    replay = ((200_000, 100_000), (100_000, 90_000), (100_000, 85_000))
    return {
        "catch-up": CatchUp(1_000_000, turns),
        "freshness": Freshness(30.0, Proof(1000, 50), [at]),
        "producer": Production(Speed(1000, 1.0, 99_000.0, 8.0, 60.0), 1000, 10, 10),
        "batch": BatchLayer(1000, 10, batch_turns()),
        "api": Api(2000.0, 199.0, Latency(3000, 3.0, 21.0, 90.0), 0.2, 500, 3.5, 0.1, 2.0, 0.15, 4, Proof(1000, 50)),
        "replay": Replays(2_000_000, 1000.0, [Round(turn(s), turn(b), at.latency, 50) for s, b in replay]),
        "memory": Memory(10_000_000, 50_000.0, Proof(1000, 50), [(1_000_000, 200.0)], 0.5, 5.1),
        "growth": growth(at.latency),
    }


def growth(latency: Latency) -> Growth:
    sizes = [
        Reading(n, n // 100, n, n * 9, 1.0, 0.5 + n / 1e5, 1.5, 2.5, 90 + n / 1e3, *[latency] * 3) for n in (0, 100_000)
    ]
    reading = Readings(100, 0.02, sizes[0], sizes[1:], dict.fromkeys(MEASURES, 0.875))
    writing = Writing("scattered over 24 h", 5_000, 100_000, 80_500.0, 9.5, 1.25, 60.5, 41.5, Proof(1000, 777))
    return Growth(reading, [writing], [EpochLength(300.0, 13, 100_000, 7.25, 0.75, 21.5, 22.5)])


def test_ratios_are_taken_within_a_round():
    goals = {goal.name: goal for goal in results()["catch-up"].goals()}
    assert goals["fourfold / stock Faust"].figure == 15
    assert goals["fourfold / stock Faust"].met
    assert goals["fourfold / bare loop"].figure == 1
    assert "two workers / one" not in goals


def test_the_goals_of_the_batch_layer():
    goals = {goal.name: goal for goal in results()["batch"].goals()}
    assert goals["archive"].figure == pytest.approx(1_000_000 / 3)
    assert goals["full recompute"].figure == 250_000
    assert goals["full recompute"].met
    assert not goals["full recompute, memory"].met
    # 8x, 4x and 2x within the rounds
    assert goals["incremental / full"].figure == 4
    assert not goals["incremental / full"].met


def test_the_goal_of_the_api():
    (goal,) = results()["api"].goals()
    assert goal.figure == 21
    assert not goal.met


def test_the_goals_of_a_replay():
    share, fresh = results()["replay"].goals()
    # 0.5, 0.9 and 0.85 within the rounds
    assert share.figure == pytest.approx(0.85)
    assert share.met
    assert fresh.figure == 12


@pytest.mark.parametrize(
    ("figure", "kind", "met"), [(5, "at least", True), (4, "at least", False), (6, "at most", False)]
)
def test_goals(figure: float, kind: str, met: bool):
    assert Goal("g", figure, kind, 5).met is met  # type: ignore[arg-type]


def test_the_tables_name_every_result():
    screen = Console(file=io.StringIO(), width=120)
    show(screen, MACHINE, results())
    text = screen.file.getvalue()  # type: ignore[attr-defined]
    for expected in (
        "stock Faust agent",
        "150,000",
        "15.00x",
        "not met",
        "at least 100,000 events/s",
        "12.0",
        "5.10 %",
        "plain pandas, one frame",
        "333,333",
        "500 watchers",
        "3 replay",
        "100,000",
        "5.0 / 12.0",
        "0.88",
        "80,500",
        "7.2",
    ):
        assert expected in text


def test_the_document_is_json_and_names_no_path():
    options = Options(json_file=Path("somewhere") / "out.json")
    text = json.dumps(document(MACHINE, options, results()))
    assert "somewhere" not in text
    goals = {goal["name"]: goal["met"] for goal in json.loads(text)["goals"]}
    assert goals["one producing process"] is False


def test_options_default_to_all_but_memory_and_growth():
    options = parse([])
    assert options.parts == DEFAULT_PARTS
    assert options == Options()
    assert parse(["memory", "--memory-events", "2_000_000"]).memory_events == 2_000_000


@pytest.mark.parametrize(
    "arguments", [["speed"], ["--contenders", "stock,other"], ["--events", "0"], ["--rates", "many"]]
)
def test_wrong_options_end_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as end:
        parse(arguments)
    assert end.value.code == 2
    assert "error" in capsys.readouterr().err
