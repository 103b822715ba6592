"""The rules: which epoch a time belongs to, and what is part of a view's identity."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.rules import Rules

RULES = st.builds(Rules, st.integers(1, 10**9), st.integers(0, 1000), st.integers(0, 10**9))


@given(RULES)
def test_decoding_is_the_inverse_of_encoding(rules: Rules) -> None:
    assert Rules.decode(rules.encode()) == rules


@given(RULES, st.integers(0, 10**6))
def test_how_long_speed_state_is_kept_is_no_part_of_the_identity(rules: Rules, keep: int) -> None:
    other = Rules(rules.epoch_ms, rules.horizon, rules.lateness_ms, keep)
    assert other.encode() == rules.encode()


@pytest.mark.parametrize("text", ["", "epoch_ms", "epoch_ms=x", "colour=1", "epoch_ms=1,colour=2"])
def test_a_text_that_is_no_rules(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Rules.decode(text)


@given(RULES, st.integers(0, 2**42))
def test_a_time_lies_in_its_epoch(rules: Rules, append_ms: int) -> None:
    epoch = rules.epoch_of(append_ms)
    assert epoch * rules.epoch_ms <= append_ms < (epoch + 1) * rules.epoch_ms


@given(RULES, st.integers(0, 2**42))
def test_warming_up_starts_with_the_first_epoch_of_the_horizon(rules: Rules, append_ms: int) -> None:
    epoch = rules.epoch_of(append_ms)
    start = rules.warm_up_from(epoch)
    assert rules.epoch_of(start) == max(0, epoch - rules.horizon)
    assert start == 0 or rules.epoch_of(start - 1) == epoch - rules.horizon - 1


def test_a_view_without_records_warms_up_from_the_start() -> None:
    assert Rules().warm_up_from(-1) == 0
