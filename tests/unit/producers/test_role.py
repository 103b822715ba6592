"""The emitter and the role, against the client library's own mock of a cluster."""

from __future__ import annotations

import threading

import pytest

from core.errors import UnavailableError
from producers.emitter import Emitter
from producers.pacer import Pacer
from producers.profile import DayStream
from producers.record import Record
from producers.role import Stats, run
from producers.stream import ShopStream

NOW_MS = 1_769_900_000_000
MOCK = {"test.mock.num.brokers": 1, "log_level": 0}
#: Nobody listens there.
AWAY = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}


class StopsAtLook(threading.Event):
    """Set from the n-th look on."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def is_set(self) -> bool:
        self.looks -= 1
        return self.looks < 0


def records(count: int) -> list[Record]:
    return ShopStream(1, "test").take(count, NOW_MS)


def test_all_records_are_delivered() -> None:
    emitter = Emitter(MOCK)
    assert emitter.send(records(5_000), threading.Event()) == 5_000
    assert emitter.flush(30) == 0
    assert (emitter.produced, emitter.delivered, emitter.failed) == (5_000, 5_000, 0)


def test_a_full_buffer_blocks_until_there_is_room() -> None:
    emitter = Emitter({**MOCK, "queue.buffering.max.messages": 10})
    assert emitter.send(records(200), threading.Event()) == 200
    assert emitter.flush(30) == 0
    assert emitter.blocked > 0
    assert (emitter.produced, emitter.delivered) == (200, 200)


def test_stop_ends_the_wait_for_room() -> None:
    emitter = Emitter({**AWAY, "queue.buffering.max.messages": 10})
    assert emitter.send(records(50), StopsAtLook(3)) == 10
    assert (emitter.produced, emitter.delivered, emitter.blocked) == (10, 0, 1)
    assert emitter.flush(0) == 10


def test_records_that_time_out_are_counted_as_failed() -> None:
    emitter = Emitter({**AWAY, "message.timeout.ms": 50, "linger.ms": 0})
    emitter.send(records(20), threading.Event())
    assert emitter.flush(30) == 0
    assert (emitter.produced, emitter.delivered, emitter.failed) == (20, 0, 20)
    assert "timed out" in emitter.last_failure


def test_a_client_that_can_send_no_more_says_so() -> None:
    emitter = Emitter({**MOCK, "message.max.bytes": 1_000})
    too_large = Record("clicks", b"k", b"x" * 2_000, b"[]", "click")
    with pytest.raises(UnavailableError, match="takes no more records"):
        emitter.send([too_large], threading.Event())


def test_the_role_sends_a_source_to_its_end() -> None:
    reports: list[Stats] = []
    source = DayStream(1, "day", seconds=0)
    stats = run(
        Emitter(MOCK),
        FirstHour(source),
        Pacer(source.rate),
        threading.Event(),
        reports.append,
        wall=lambda: NOW_MS,
    )
    assert stats.produced == stats.delivered == sum(stats.by_kind.values()) == 10_000
    assert stats.by_kind["duplicate"] == 500
    assert (stats.failed, stats.lost) == (0, 0)
    assert reports[-1] == stats


class FirstHour:
    """The first 10,000 records of a day."""

    def __init__(self, day: DayStream) -> None:
        self.day = day
        self.left = 10_000

    def take(self, count: int, now_ms: int) -> list[Record]:
        out = self.day.take(min(count, self.left), now_ms)
        self.left -= len(out)
        return out


def test_the_role_ends_after_its_duration() -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def clock() -> float:
        return now[0]

    reports: list[Stats] = []
    stats = run(
        Emitter(MOCK),
        ShopStream(1, "test"),
        Pacer(100, clock, sleep),
        threading.Event(),
        reports.append,
        duration_s=10,
        clock=clock,
        wall=lambda: NOW_MS,
    )
    assert stats.delivered == pytest.approx(1_000, abs=2)
    assert len(reports) in (10, 11)
    assert [r.produced for r in reports] == sorted(r.produced for r in reports)


def test_the_role_hears_a_stop_and_says_what_is_lost() -> None:
    emitter = Emitter({**AWAY, "queue.buffering.max.messages": 10})
    stats = run(
        emitter,
        ShopStream(1, "test"),
        Pacer(0),
        StopsAtLook(3),
        lambda _stats: None,
        flush_s=0,
    )
    assert (stats.produced, stats.delivered, stats.lost) == (10, 0, 10)
