"""Rules files: what is wrong, where, and what to do, in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from batch.quality_rules import KINDS, read_rules
from core.errors import ConfigurationError
from tests.support.shop import SHOP_RULES

HEAD = '[[rule]]\nname = "r1"\ntable = "t"\nseverity = "error"\n'
HOURLY = f'kind = "volume"\ncolumn = "n"\nprofile = {[1] * 24}\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[rule]\n", "not TOML"),
        ("", "list of [[rule]] tables"),
        ("rule = 3", "list of [[rule]] tables"),
        ("rule = [3]", "list of [[rule]] tables"),
        ("[[rules]]\n[[rule]]\n", "list of [[rule]] tables"),
        (HEAD, "kind None is none; use one of null_share, type"),
        (HEAD + 'kind = "nulls"', "kind 'nulls' is none"),
        (HEAD + "kind = [1]", "kind [1] is none"),
        (HEAD + 'kind = "null_share"\nmax = 0', "missing required field `column`"),
        (HEAD + 'kind = "null_share"\ncolumn = "x"\nmax = 1.5', "<= 1.0 - at `$.max`"),
        (HEAD + 'kind = "null_share"\ncolumn = "x"\nmax = nan', "nan"),
        (HEAD + 'kind = "null_share"\ncolumn = "x"\nmax = "0"', "Expected `float`, got `str`"),
        (HEAD + 'kind = "null_share"\ncolumn = "x"\nmax = 0\nmin = 0', "unknown field `min`"),
        (HEAD.replace("error", "fatal") + 'kind = "freshness"\ncolumn = "x"\nmax_age_s = 1', "'fatal'"),
        (HEAD + 'kind = "type"\ncolumn = "x"\ntype = "date"', "'date'"),
        (HEAD + 'kind = "range"\ncolumn = "x"', "give `min`, `max` or both"),
        (HEAD + 'kind = "range"\ncolumn = "x"\nmin = 2\nmax = 1', "`min` 2 is above `max` 1"),
        (HEAD + 'kind = "unique"\ncolumns = []', "length >= 1"),
        (HEAD + 'kind = "volume"', "give `min`, `max` or both"),
        (HEAD + 'kind = "volume"\nmin = 1\ntolerance = 0.1', "`tolerance` needs a `profile`"),
        (HEAD + 'kind = "volume"\nprofile = [1]', "`profile` has 1 numbers; give 24"),
        (HEAD + HOURLY, "a `profile` needs"),
        (HEAD + HOURLY + "tolerance = 0.1\nmin = 1", "a `profile` needs"),
        (2 * (HEAD + 'kind = "range"\ncolumn = "x"\nmin = 2\n'), "two rules are named 'r1'"),
        (HEAD.replace("r1", r"\u001b[31m\nx") + 'kind = "?"', r"rule 1 ('\x1b[31m\nx')"),
    ],
)
def test_a_malformed_file_is_one_clear_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read_rules(path)
    message = str(caught.value)
    assert message.startswith(f"quality rules {path}: ")
    assert said in message
    assert message.isprintable()
    if text.startswith(HEAD):
        assert "'r1'" in message


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_rules(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        read_rules(tmp_path / "latin.toml")


def test_the_default_rules_use_each_kind() -> None:
    assert {rule.__struct_config__.tag for rule in read_rules(SHOP_RULES)} == set(KINDS)
