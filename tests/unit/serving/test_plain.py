"""Text for terminals: whatever events say, it is one harmless line."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.answer import Answer
from serving.harmless import safe
from serving.live import Audit, Picture
from serving.measures import money
from serving.plain import error_text, line, opening, seconds
from tests.support.shop import HEADLINES, ZERO, cell_of

#: What a line shows and a reader may ask about.
WORDS = ("events/s", "lag", "age", "rejected", "duplicates", "late", "error", "batch")


@given(st.text(), st.integers(1, 80))
def test_safe_text_has_no_control_characters_and_is_not_too_long(text: str, width: int) -> None:
    shown = safe(text, width)
    assert len(shown) <= width
    assert len(shown.splitlines()) <= 1
    assert not any(unicodedata.category(c).startswith("C") for c in shown)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=40))
def test_harmless_text_is_shown_as_it_is(text: str) -> None:
    assert safe(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "·[31mred·[0m"),
        ("\x1b]0;title\x07", "·]0;title·"),
        ("a\r\nb\tc\x00d\x7f\x9b", "a··b·c·d··"),
        ("right-to-left \u202e override", "right-to-left · override"),
        ("zero\u200bwidth\ufeff", "zero·width·"),
        ("a\u2028b\u2029c\x85d", "a·b·c·d"),
        ("lone \ud800 surrogate", "lone · surrogate"),
        ("private \ue000", "private ·"),
        ("[red]markup[/red]", "[red]markup[/red]"),
        ("x" * 41, "x" * 39 + "…"),
        ("x" * 40, "x" * 40),
    ],
)
def test_what_a_terminal_could_obey_is_shown_as_a_dot(text: str, shown: str) -> None:
    assert safe(text) == shown


def test_a_mebibyte_of_text_is_cut() -> None:
    assert safe("\x1b" * (1 << 20)) == "·" * 39 + "…"


@pytest.mark.parametrize(
    ("cents", "text"),
    [(0, "0.00"), (5, "0.05"), (123456, "1,234.56"), (-5, "-0.05"), (-123456, "-1,234.56"), (2**70, None)],
)
def test_money_is_written_from_integers(cents: int, text: str | None) -> None:
    assert money(cents) == (text or f"{2**70 // 100:,}.{2**70 % 100:02}")


@pytest.mark.parametrize(
    ("age", "text"),
    [(None, "-"), (0, "0 ms"), (0.0124, "12 ms"), (1, "1.0 s"), (3.44, "3.4 s"), (119.9, "119.9 s"), (300, "5 min")],
)
def test_ages_are_written_for_people(age: float | None, text: str) -> None:
    assert seconds(age) == text


@pytest.mark.parametrize(
    ("error", "text"), [(None, "being audited"), (0, "0 (exact)"), (1234, "OFF BY 1,234"), (-1, "OFF BY -1")]
)
def test_the_error_is_said_in_words(error: int | None, text: str) -> None:
    assert error_text(Picture(ZERO, error=error, lag=0)) == text


def test_a_picture_is_one_line_with_its_trouble_at_the_end() -> None:
    picture = Picture(
        cell_of(1234, 5, 6, 789), rejected={"not_json": 2, "bad_format": 3}, lag=7, trouble=("one", "two")
    )
    text = line(picture, HEADLINES, "kappa")
    assert text.splitlines() == [text]
    assert "clicks 1,234  sales 5  revenue 7.89 EUR" in text
    assert "lag 7" in text
    assert "rejected 5" in text
    assert text.endswith("[one; two]")
    assert "error being audited  mode kappa  [" in text
    assert line(Picture(ZERO, lag=0), HEADLINES, "batch").endswith("mode batch")


def test_a_line_says_starting_and_not_exact_until_something_is_counted() -> None:
    text = line(Picture(ZERO, error=0, lag=0, answer=Answer(ZERO)), HEADLINES, "kappa", ["produce: nothing arrives"])
    assert text == "starting, nothing counted yet  lag 0  mode kappa  [produce: nothing arrives]"


def test_that_nobody_audits_is_said_with_why() -> None:
    picture = Picture(cell_of(7), audited=False, lag=0)
    assert picture.audit is Audit.NOBODY
    assert "error not audited (FOURFOLD_AUDIT=false)  mode lambda" in line(picture, HEADLINES, "lambda")


def test_the_first_lines_say_mode_address_and_every_word_of_a_line() -> None:
    first, *more = opening("kappa", "http://127.0.0.1:8000/")
    assert "mode kappa" in first
    assert first.endswith("http://127.0.0.1:8000/")
    explained = " ".join(more)
    shown = line(Picture(ZERO, version=3), HEADLINES, "kappa")
    assert {word for word in WORDS if word in shown} == set(WORDS)
    assert not [word for word in WORDS if word not in explained]


def test_without_an_answer_nothing_is_said_to_be_as_of_now() -> None:
    text = line(Picture(cell_of(7), rate=0.0, away_s=12.0, trouble=("Redis does not answer",)), HEADLINES, "lambda")
    assert text.startswith("clicks 7  sales 0")
    assert "  - events/s  lag unknown  " in text
    assert "error unknown  mode lambda" in text
    assert text.endswith("[no answer for 12.0 s, counts are the last that were known; Redis does not answer]")
