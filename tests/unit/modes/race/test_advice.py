"""The advice: defensible, with figures, and with what would change it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.errors import ConfigurationError
from modes.race.advice import CASES, DAY_S, HOUR_S, Needs, advise, span
from tests.support.race_document import document, lap


@pytest.mark.parametrize(
    ("case", "mode", "figure"),
    [
        ("daily-sales-reports", "batch", "14.8 s"),
        ("real-time-fraud-detection", "streaming", "150 ms"),
        ("monthly-financial-analysis", "batch", "100 %"),
    ],
)
def test_the_courses_questions(case: str, mode: str, figure: str) -> None:
    found = advise(document(), CASES[case])
    assert (found.mode, found.fits) == (mode, True)
    assert any(figure in reason for reason in found.reasons)
    assert found.changes


@pytest.mark.parametrize(
    ("needs", "mode"),
    [
        (Needs(freshness_s=1, accuracy="exact"), "lambda"),
        (Needs(freshness_s=1, accuracy="good"), "kappa"),
        (Needs(freshness_s=1, accuracy="good", history_s=HOUR_S, repair=False), "streaming"),
        (Needs(freshness_s=DAY_S, accuracy="exact"), "batch"),
    ],
)
def test_each_mode_has_its_place(needs: Needs, mode: str) -> None:
    assert advise(document(), needs).mode == mode


def test_why_the_others_are_not_it() -> None:
    reasons = "\n".join(advise(document(), Needs(freshness_s=1, accuracy="exact")).reasons)
    assert "not batch: 99 % of its records were in an answer after 14.8 s" in reasons
    assert "not streaming: its numbers were 99.970 % right in the end" in reasons


def test_what_would_change_it_is_true() -> None:
    needs = Needs(freshness_s=DAY_S, accuracy="exact")
    changes = advise(document(), needs).changes
    assert "if answers had to be fresher than 10 seconds: lambda" in changes
    assert advise(document(), replace(needs, freshness_s=10)).mode == "lambda"


def test_an_error_that_is_never_repaired_counts() -> None:
    drill = {"repair_seconds": 30.0, "sales_counted_wrong": 10, "sales_never_repaired": 10}
    laps = [lap("streaming", repair=drill), lap("kappa", repair=drill | {"sales_never_repaired": 0})]
    needs = Needs(freshness_s=1, accuracy="good", history_s=HOUR_S)
    found = advise(document(*laps), needs)
    assert found.mode == "kappa"
    assert any("100 % was never repaired" in reason for reason in found.reasons)
    assert advise(document(*laps), replace(needs, repair=False)).mode == "streaming"


def test_where_none_does_it_says_what_is_missed() -> None:
    found = advise(document(), Needs(freshness_s=0.001))
    assert not found.fits
    assert any("which is not enough" in reason for reason in found.reasons)


@pytest.mark.parametrize(("end", "mode"), [(0.9901, "kappa"), (0.9899, "lambda")])
def test_good_is_ninety_nine_percent(end: float, mode: str) -> None:
    laps = [lap("lambda"), lap("kappa")]
    laps[1]["accuracy"] = laps[1]["accuracy"] | {"end": end}
    assert advise(document(*laps), Needs(freshness_s=1, accuracy="good")).mode == mode


def test_how_old_a_batch_view_is_depends_on_its_cycle() -> None:
    reasons = advise(document(), CASES["daily-sales-reports"]).reasons
    assert any("14.8 s, with a batch cycle of 12 s" in reason for reason in reasons)


def test_a_budget_is_kept() -> None:
    needs = Needs(freshness_s=1, accuracy="good", history_s=HOUR_S, repair=False)
    month = document()["summary"]["streaming"]["month"]["max"]
    assert advise(document(), replace(needs, budget=month + 1)).fits
    assert not advise(document(), replace(needs, budget=month - 1)).fits


def test_a_report_without_a_lap_is_said() -> None:
    with pytest.raises(ConfigurationError, match="no mode in it"):
        advise(document() | {"summary": {}}, Needs())


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.5, "500 ms"), (1, "1 second"), (90, "1.5 minutes"), (HOUR_S, "1 hour"), (30 * DAY_S, "30 days")],
)
def test_lengths_of_time(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_what_is_not_asked_for_is_no_reason_that_speaks_against_itself() -> None:
    drill = {"repair_seconds": 30.0, "sales_counted_wrong": 10, "sales_never_repaired": 10}
    laps = [lap("streaming", repair=drill), lap("kappa", repair=drill | {"sales_never_repaired": 0})]
    found = advise(document(*laps), Needs(freshness_s=1, accuracy="good", history_s=HOUR_S, repair=False))
    assert found.mode == "streaming"
    (repair,) = (reason for reason in found.reasons if reason.startswith("repair: "))
    assert repair.startswith("repair: history need not be repaired (it would not be: ")
    (history,) = (reason for reason in found.reasons if reason.startswith("history: "))
    assert history.endswith("; 1 hour is asked for")
