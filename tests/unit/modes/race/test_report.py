"""The report: every figure in all three forms, nothing from outside, nothing that is markup."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from core.errors import ConfigurationError
from modes.catalogue import MODES
from modes.race.report import amount, read, sections, table, write
from tests.support.race_document import document, lap, levels


def test_all_three_forms_have_the_figures(tmp_path: Path) -> None:
    found = document()
    assert [file.name for file in write(found, tmp_path / "out")] == ["report.html", "report.json", "report.md"]
    page, text = ((tmp_path / "out" / f"report.{form}").read_text() for form in ("html", "md"))
    for words in ("14.8 s", "150 ms", "99.970 %", "4,200", "fourfold race --quick", "hours", "agrees", *MODES):
        assert words in page, words
        assert words in text, words
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == json.loads(json.dumps(found))


def test_the_page_needs_nothing_from_outside_and_has_a_line_for_each_mode(tmp_path: Path) -> None:
    write(document(), tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert not re.search(r"<script|<link|src=|url\(|@import", page)
    assert page.count('class="line ') == 6 * len(MODES)


def test_values_are_text_in_the_page(tmp_path: Path) -> None:
    write(document(), tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "<b>recovery" not in page
    assert "&lt;b&gt;recovery" in page


def test_a_race_without_any_lap_is_a_report_that_says_so(tmp_path: Path) -> None:
    found = document() | {"laps": [], "summary": {}, "spread": {}, "course": [], "missing": ["batch, round 1: not run"]}
    write(found, tmp_path)
    assert "batch, round 1: not run" in (tmp_path / "report.html").read_text()
    assert "batch, round 1: not run" in (tmp_path / "report.md").read_text()


def test_rounds_that_differ_are_shown_with_their_spread() -> None:
    one, other = lap("kappa"), lap("kappa", 2)
    other["freshness"] = one["freshness"] | {"p99": 0.4}
    rows = {
        name: (figures, around) for _, of in sections(document(one, other, repeat=2)) for name, figures, around in of
    }
    figures, around = rows["freshness p99"]
    assert figures == ["300 ms (200 ms to 400 ms)"]
    assert around == "± 33 %"
    assert rows["accuracy at the end"][1] == "exact"
    assert rows["lines of code"][1] == ""


def test_what_was_not_measured_is_no_row() -> None:
    names = {name for _, of in sections(document()) for name, _, _ in of}
    assert "sustained events/s" not in names
    measured = document(lap("kappa", throughput=levels((5_000, 0.1), (10_000, 0.2))))
    assert "sustained events/s" in {name for _, of in sections(measured) for name, _, _ in of}


def test_the_table_for_a_terminal() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(table(document()))
    text = console.export_text()
    assert "14.8 s" in text
    assert "freshness p99" in text


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.1234, "s", "123 ms"),
        (12.34, "s", "12.3 s"),
        (100.0, "%", "100 %"),
        (99.99999, "%", "99.999 %"),
        (0.0, "%", "0 %"),
        (1234567, "", "1,234,567"),
        (0.0031, "EUR", "0.0031 EUR"),
        (12.5, "EUR", "12.50 EUR"),
    ],
)
def test_figures_for_people(value: float, unit: str, shown: str) -> None:
    assert amount(value, unit) == shown


def test_what_is_no_report_is_said(tmp_path: Path) -> None:
    for text in ("", "[]", '{"race": 99}'):
        (tmp_path / "report.json").write_text(text)
        with pytest.raises(ConfigurationError, match="no report of a race"):
            read(tmp_path)
    with pytest.raises(ConfigurationError, match="fourfold race"):
        read(tmp_path / "nowhere")
