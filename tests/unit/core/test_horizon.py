"""The duplicate memory: ids of the current epoch and of the H epochs before it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.horizon import Horizon


def met(horizon: Horizon, name: str) -> bool:
    """Whether the id is a duplicate; remembers it, as `core.kernel.order` does."""
    known = horizon.known({name})
    horizon.current.add(name)
    return bool(known)


@pytest.mark.parametrize("epochs", [0, 1, 2, 5])
def test_an_id_is_remembered_for_so_many_epochs(epochs: int) -> None:
    for distance in range(epochs + 3):
        horizon = Horizon(epochs)
        horizon.enter(10)
        assert not met(horizon, "a")
        horizon.enter(10 + distance)
        assert met(horizon, "a") is (distance <= epochs)


def test_meeting_an_id_again_remembers_it_anew() -> None:
    horizon = Horizon(1)
    for epoch in range(5):
        horizon.enter(epoch)
        assert met(horizon, "a") is (epoch > 0)


def test_entering_the_current_epoch_again_forgets_nothing() -> None:
    horizon = Horizon(0)
    horizon.enter(3)
    met(horizon, "a")
    horizon.enter(3)
    assert met(horizon, "a")
    assert len(horizon) == 1


@given(st.integers(0, 4), st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abcde")), max_size=40))
def test_it_answers_as_a_list_of_everything_seen_would(epochs: int, seen: list[tuple[int, str]]) -> None:
    horizon = Horizon(epochs)
    epoch = 0
    history: list[tuple[int, str]] = []
    for step, name in seen:
        epoch += step
        horizon.enter(epoch)
        known = any(n == name and e >= epoch - epochs for e, n in history)
        assert met(horizon, name) is known
        history.append((epoch, name))


@given(st.lists(st.integers(0, 3), max_size=40))
def test_what_is_forgotten_takes_no_memory(steps: list[int]) -> None:
    horizon = Horizon(2)
    epoch = 0
    for number, step in enumerate(steps):
        epoch += step
        horizon.enter(epoch)
        met(horizon, str(number))
    horizon.enter(epoch + 3)
    assert len(horizon) == 0
