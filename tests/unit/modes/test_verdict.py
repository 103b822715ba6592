"""The words of the verdict."""

from __future__ import annotations

from modes.verdict import verdict_lines
from serving.answer import Answer
from serving.verify import Verdict


def test_an_exact_verdict_does_not_hide_what_a_reader_must_know() -> None:
    verdict = Verdict(True, 4, 4, 1.0, 0, 0)
    assert len(verdict_lines(verdict, Answer())) == 2
    lines = verdict_lines(verdict, Answer(states=("batch view: none for 9 s: no \x1b room",)))
    assert lines[0].startswith("verify: EXACT: 4 cells")
    assert lines[2:] == ["batch view: none for 9 s: no · room"]
