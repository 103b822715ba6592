"""`fourfold race`, `advise`, `capacity`: what is wrong is said in a line; answers for machines are one document."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from modes.cli import app
from modes.commands import race as race_commands
from modes.race.report import write
from tests.support.race_document import document


@pytest.fixture
def report(tmp_path: Path) -> Path:
    write(document(), tmp_path / "race")
    return tmp_path / "race"


def run(arguments: Sequence[object], answers: str = "") -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments], input=answers)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["race", "--modes", "omega"], "--modes 'omega'"),
        (["race", "--events", "none"], "no number of events"),
        (["race", "--events", "300", "--rate", "3000"], "at least 8 s"),
        (["race", "--prices", "nowhere.toml"], "nowhere.toml"),
        (["advise", "--report", "nowhere"], "fourfold race"),
        (["capacity", "--events-per-second", "10", "--report", "nowhere"], "fourfold race"),
    ],
)
def test_what_is_wrong_is_said(arguments: list[str], says: str) -> None:
    done = run(arguments)
    assert done.exit_code != 0
    assert says in (str(done.exception) + done.output)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--case", "x"], "--case 'x'"),
        (["--accuracy", "fair"], "exact or good"),
        (["--team", "huge"], "small or large"),
    ],
)
def test_advice_refuses_what_it_does_not_know(report: Path, options: list[str], says: str) -> None:
    assert says in str(run(["advise", "--report", report, *options]).exception)


def test_advice_for_people_and_machines(report: Path) -> None:
    shown = run(["advise", "--report", report, "--case", "real-time-fraud-detection"]).output
    assert "\nstreaming\n" in shown
    assert "what would change the advice" in shown
    found = json.loads(run(["advise", "--report", report, "--freshness", "1s", "--json"]).output)
    assert (found["mode"], found["needs"]["freshness_s"]) == ("lambda", 1.0)
    assert {check["need"] for check in found["checks"]["batch"]} == {"freshness", "accuracy", "history", "repair"}


def test_capacity_for_people_and_machines(report: Path) -> None:
    load = ["capacity", "--report", report, "--events-per-second", 1_000_000, "--keys", 100]
    assert "assumed" in run(load).output
    found = json.loads(run([*load, "--mode", "kappa", "--json"]).output)
    assert [plan["mode"] for plan in found["plans"]] == ["kappa"]
    assert found["plans"][0]["beyond"] == 500.0


def test_without_a_report_the_one_that_comes_with_fourfold_is_used_and_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, report: Path
) -> None:
    monkeypatch.chdir(tmp_path / "race")
    for command in (["advise", "--case", "daily-sales-reports"], ["capacity", "--events-per-second", "1000"]):
        done = run(command)
        assert done.exit_code == 0, done.exception
        assert "no report in ./race: these are the figures of another machine, " in done.stderr
        assert f"figures: {race_commands.SHIPPED}, made 20" in done.stdout
    # one's own comes first
    monkeypatch.chdir(tmp_path)
    done = run(["advise", "--freshness", "1s"])
    assert done.stderr == ""
    assert "figures: race, made 2026-01-31" in done.stdout
    monkeypatch.setattr(race_commands, "SHIPPED", tmp_path / "nowhere")
    monkeypatch.chdir(tmp_path / "race")
    assert "make one with `fourfold race`" in str(run(["advise", "--freshness", "1s"]).exception)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda found: found.pop("summary"), "lacks summary: "),
        (lambda found: found["laps"][0].pop("stored"), "lacks laps.stored: "),
        (lambda found: found["summary"]["batch"].pop("month"), "lacks summary.month: "),
        (lambda found: found.update(laps=None), "lacks laps: "),
    ],
)
def test_a_report_that_lacks_a_figure_is_refused_by_its_name(report: Path, change: Any, says: str) -> None:
    changed = document()
    change(changed)
    (report / "report.json").write_text(json.dumps(changed), encoding="utf-8")
    for command in (["advise", "--freshness", "1s"], ["capacity", "--events-per-second", "1000"]):
        assert says in str(run([*command, "--report", report]).exception)
