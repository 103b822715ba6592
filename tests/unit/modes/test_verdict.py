"""The words of the verdict."""

from __future__ import annotations

from dataclasses import replace

from modes.verdict import verdict_lines
from serving.answer import Answer
from serving.difference import Difference
from serving.verify import Verdict
from tests.support.shop import ZERO


def test_an_exact_verdict_does_not_hide_what_a_reader_must_know() -> None:
    verdict = Verdict(True, 4, 4, 1.0, 0, 0)
    assert len(verdict_lines(verdict, Answer(ZERO))) == 2
    lines = verdict_lines(verdict, Answer(ZERO, states=("batch view: none for 9 s: no \x1b room",)))
    assert lines[0].startswith("verify: EXACT: 4 cells")
    assert lines[2:] == ["batch view: none for 9 s: no · room"]


def test_the_first_words_are_those_of_the_worst() -> None:
    exact = Verdict(True, 4, 4, 1.0, 0, 0)
    differs = [Difference("all", "clicks", 2, 1)]
    for verdict, words in (
        (exact, "EXACT"),
        (replace(exact, exact=False, uncounted=3), "NOT COMPLETE"),
        (replace(exact, exact=False, differences=differs), "NOT EXACT"),
        (replace(exact, exact=False, differences=differs, uncounted=3), "NOT EXACT"),
        (replace(exact, exact=False, compared_cells=0, empty=True), "NO VERDICT"),
        (replace(exact, exact=False, compared_cells=0, empty=True, uncounted=3), "NOT COMPLETE"),
    ):
        lines = verdict_lines(verdict, Answer(ZERO))
        assert lines[0].startswith(f"verify: {words}:"), lines
        assert any("3 records" in line for line in lines) == bool(verdict.uncounted)


def test_records_that_nobody_audited_are_said() -> None:
    assert "2 records carry no truth header" in verdict_lines(Verdict(True, 4, 4, 1.0, 0, 2), Answer(ZERO))[-1]
