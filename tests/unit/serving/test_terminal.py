"""The terminal view: always the same size, and harmless whatever events say."""

from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from serving.live import Picture
from serving.merge import Users
from serving.terminal import draw
from tests.support.shop import SHOP, ZERO, cell_of

HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "\x1b]0;window title\x07",
    "\x1b[2J\x1b[H",
    "\x9b31m",
    "\r\n\n\n\tmany\x00lines\x7f",
    "\u202eright to left",
    "[red]markup[/red]",
    "[/]",
    "[bold",
    "[link=file:///etc]x[/link]",
    ":smiley:",
    "中" * 64,
    "e" + "\u0301" * 60,
    "x" * (1 << 20),
    "",
    " ",
    "\u2028\u2029",
    "\ud800",
]
ROLES = [("produce", "up"), ("process", "restarting (restarted 3x)")]


def rendered(picture: Picture, *, width: int = 100, height: int = 25, title: str = "fourfold", hint: str = "q") -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, no_color=True, force_terminal=False, legacy_windows=False)
    console.print(draw(picture, SHOP, title, ROLES, hint, height=height))
    return out.getvalue()


def picture_of(values: list[str], **more: object) -> Picture:
    by = {name: {value: cell_of(9, 1, 2, 300) for value in values} for name in ("campaign", "product", "country")}
    return Picture(ZERO, by=by, **more)  # type: ignore[arg-type]


def assert_harmless(text: str) -> None:
    assert {c for c in text if unicodedata.category(c).startswith(("C", "Zl", "Zp"))} <= {"\n"}


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: ascii(value)[:30])
def test_a_value_of_an_event_reaches_the_terminal_harmless(value: str) -> None:
    text = rendered(picture_of([value]))
    assert_harmless(text)
    assert all(cell_len(row) <= 100 for row in text.splitlines())
    assert len(text.splitlines()) == len(rendered(Picture(ZERO)).splitlines())
    assert "9" in text


def test_markup_in_a_value_is_shown_and_not_obeyed() -> None:
    assert "[red]markup[/red]" in rendered(picture_of(["[red]markup[/red]"]))
    assert "[link=file:///etc]x" in rendered(picture_of(["[link=file:///etc]x[/link]"]))
    assert ":smiley:" in rendered(picture_of([":smiley:"]))


def test_markup_in_a_title_a_hint_a_role_or_a_trouble_is_shown_and_not_obeyed() -> None:
    picture = Picture(ZERO, trouble=("[red]trouble[/red]", "[/]"))
    text = rendered(picture, title="view [bold]v1", hint="[/] ends it")
    for shown in ("[red]trouble[/red]", "[/]", "view [bold]v1", "[/] ends it"):
        assert shown in text


@settings(max_examples=20)
@given(st.lists(st.text(max_size=70), max_size=15), st.sampled_from([20, 25, 40, 80]))
def test_any_values_leave_the_size_as_it_is(values: list[str], height: int) -> None:
    text = rendered(picture_of(values), height=height)
    assert_harmless(text)
    assert len(text.splitlines()) == len(rendered(Picture(ZERO), height=height).splitlines())


@pytest.mark.parametrize("height", [25, 30, 50])
def test_the_view_fits_the_terminal(height: int) -> None:
    assert len(rendered(Picture(ZERO), height=height).splitlines()) <= height


def test_every_reason_is_listed_with_its_number() -> None:
    rejected = {reason: 1000 + at for at, reason in enumerate(SHOP.reasons)}
    text = rendered(Picture(ZERO, rejected=rejected, duplicates=77, late=88), width=120)
    for reason, number in rejected.items():
        assert reason.replace("_", " ") in text
        assert f"{number:,}" in text
    assert "77" in text
    assert "88" in text


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (Picture(ZERO, error=0, lag=3), "0 (exact)"),
        (Picture(ZERO, error=0, lag=None), "0 so far, lag unknown"),
        (Picture(ZERO, error=0, lag=16_631, behind=True), "0 so far, behind by 16,631"),
        (Picture(ZERO, error=None, away_s=12.0, trouble=("Redis does not answer",)), "unknown"),
        (Picture(ZERO, away_s=12.0), "no answer for 12.0 s"),
        (Picture(ZERO, error=None), "being audited"),
        (Picture(ZERO, error=12), "OFF BY 12"),
        (Picture(ZERO, trouble=("Redis does not answer",)), "Redis does not answer"),
        (Picture(ZERO, beyond=3), "3 duplicates"),
        (Picture(ZERO, lag=1234), "1,234 records"),
        (Picture(ZERO, lag=None), "lag"),
        (Picture(totals=cell_of(3, 1), version=7, from_batch=1, batch_age_s=4.25), "v7, 4.2 s old, 25% of all"),
        (Picture(ZERO, states=("no batch view yet",)), "no batch view yet"),
    ],
)
def test_the_state_is_said_in_words(picture: Picture, words: str) -> None:
    assert words in rendered(picture)


def test_numbers_of_any_size_keep_the_view_whole() -> None:
    huge = Picture(totals=cell_of(2**63, 2**63, 2**63, 2**90), rate=1e12, lag=2**63, users=Users(2**62, exact=False))
    text = rendered(huge, width=80)
    assert all(cell_len(row) <= 80 for row in text.splitlines())
