"""A worker says when what it counts points at a wrong clock."""

from __future__ import annotations

from structlog.testing import capture_logs

from core.clocks import FEWEST
from core.delta import DeadLetter, Delta
from core.verdict import Reason
from processors.clock_watch import AGAIN_S, ClockWatch
from tests.support.events import CLICKS_0


def rejected(number: int) -> Delta:
    delta = Delta()
    for offset in range(number):
        detail = "event time is 600 s ahead of the append time"
        delta.reject(1, DeadLetter(CLICKS_0, offset, 0, None, b"", Reason.FROM_FUTURE, detail))
    return delta


def test_a_share_of_records_from_the_future_is_said_once_a_minute() -> None:
    now = [0.0]
    watch = ClockWatch(lambda: now[0])
    with capture_logs() as logs:
        watch.took(FEWEST - 1, [rejected(FEWEST - 1)])
        assert not logs
        watch.took(1, [rejected(1)])
        assert "about 10 minutes" in logs[0]["doubt"]
        watch.took(FEWEST, [rejected(FEWEST)])
        assert len(logs) == 1
        now[0] += AGAIN_S
        watch.took(FEWEST, [rejected(FEWEST)])
        assert len(logs) == 2


def test_windows_do_not_add_up() -> None:
    watch = ClockWatch()
    good = Delta()
    good.count(1, "accepted", FEWEST)
    with capture_logs() as logs:
        for _ in range(50):
            watch.took(FEWEST, [good])
            watch.took(1, [rejected(1)])
    assert not logs
