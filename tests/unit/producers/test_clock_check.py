"""The producer's clock against the broker's."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from core.errors import UnavailableError
from producers.clock_check import TOLERANCE_MS, ClockCheck

NOW = 1_700_000_000_000


def said(newest_ms: int, delivered: int = 10) -> list[str]:
    with capture_logs() as logs:
        ClockCheck(lambda: newest_ms, lambda: delivered, lambda: NOW).look()
    return [entry["doubt"] for entry in logs if entry["event"] == "clock"]


@pytest.mark.parametrize(("newest_ms", "words"), [(NOW - 600_000, "600 s ahead of"), (NOW + 600_000, "600 s behind")])
def test_a_clock_that_is_minutes_off_is_said_by_how_much(newest_ms: int, words: str) -> None:
    (doubt,) = said(newest_ms)
    assert words in doubt
    assert "NTP" in doubt


@pytest.mark.parametrize("newest_ms", [0, NOW, NOW - TOLERANCE_MS + 1, NOW + TOLERANCE_MS - 1])
def test_a_clock_that_is_right_or_not_known_is_not_said(newest_ms: int) -> None:
    assert said(newest_ms) == []


def test_a_log_into_which_nothing_comes_is_old_and_no_clock_is_wrong() -> None:
    assert said(NOW - 600_000, delivered=0) == []


def test_where_kafka_is_away_nothing_is_said() -> None:
    def away() -> int:
        raise UnavailableError("away")

    with capture_logs() as logs:
        ClockCheck(away, lambda: 10, lambda: NOW).look()
    assert [entry["log_level"] for entry in logs] == ["debug"]
