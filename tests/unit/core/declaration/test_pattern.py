"""Patterns: Python's `re` and RE2 (as DuckDB has it) agree on every one that is taken."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.declaration.pattern import PatternError, compiled, texts

TAKEN = [
    "[A-Z]{2}",
    "[a-z]{2,8}(?:wiki|wiktionary)",
    r"\d+(\.\d\d)?",
    r"\w*[^\d]",
    "a|b|",
    "(ab?)*c+?",
    "[^a-c]{0,3}.",
    r"\.\-[\-x]",
    "é+",
]


@pytest.mark.parametrize("pattern", TAKEN)
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_engines_agree(pattern: str, data: st.DataObject) -> None:
    check = compiled(pattern)
    text = data.draw(st.from_regex(check, fullmatch=True) | st.text("abcABC019.-_é\n \t", max_size=6))
    text = text.replace("\0", "")
    with duckdb.connect() as connection:
        ((found,),) = connection.execute("select regexp_full_match(?, ?)", [text, pattern]).fetchall()
    assert found is (check.fullmatch(text) is not None)


@pytest.mark.parametrize(
    "pattern",
    ["^a", "a$", r"\ba", r"\s", r"\S", "(?=a)b", "(?<!a)b", r"(a)\1", "(?i)a", "(?P<n>a)", "a{2000}", "(a{100}){100}",
     "[", "(", "*", "a**", "a*+", "(?>a)", "x" * 2000, "(?s:.)", r"\Z"],
)  # fmt: skip
def test_what_engines_understand_differently_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        compiled(pattern)


@pytest.mark.parametrize(
    ("pattern", "number"), [("[A-Z]{2}", 676), ("paid|open", 2), (r"\d{1,2}", 110), ("a?b", 2), ("(a|b)c{3}", 2)]
)
def test_how_many_texts_there_are(pattern: str, number: int) -> None:
    assert texts(pattern) == number


@pytest.mark.parametrize("pattern", ["a*", ".", "[^a]", r"\w{20}", "(a|b)+"])
def test_any_number_of_texts(pattern: str) -> None:
    assert texts(pattern) > 100_000
