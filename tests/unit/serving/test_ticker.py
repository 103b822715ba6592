"""The ticker: one answer for all who ask, its age, and waiting for the next one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from core.errors import UnavailableError
from core.position import PartitionKey
from serving.answer import Answer
from serving.log_ends import LogEnds
from serving.merge import Users
from serving.ticker import Ticker
from serving.user_counts import UserCounts
from tests.support.events import CLICKS_0
from tests.support.shop import ZERO, cell_of
from tests.support.waiting import suspended, turned, until

T = TypeVar("T")


class Source:
    """Answers that the test chooses; remembers the threads that asked."""

    def __init__(self) -> None:
        self.now = 100.0
        self.clicks = 0
        self.trouble: Exception | None = None
        self.threads: set[str] = set()
        self.counted: list[tuple[int, int]] = []
        self.may_count = threading.Event()
        self.may_count.set()

    def answer(self) -> Answer:
        self.threads.add(threading.current_thread().name)
        if self.trouble is not None:
            raise self.trouble
        self.clicks += 1
        return Answer(ZERO, totals={("all", ""): cell_of(self.clicks)}, states=("said",))

    def users(self, answer: Answer, start: int, end: int) -> Users:
        assert self.may_count.wait(10)
        self.counted.append((start, end))
        return Users(answer.total[0], exact=True)

    def clock(self) -> float:
        return self.now


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def ticker(source: Source) -> Ticker:
    return Ticker(source, clock=source.clock)


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, 10))


def test_before_the_first_tick_there_is_no_answer(ticker: Ticker) -> None:
    with pytest.raises(UnavailableError, match="no answer yet"):
        ticker.answer()


def test_all_get_the_answer_of_the_newest_tick(source: Source, ticker: Ticker) -> None:
    ticker.tick()
    first = ticker.answer()
    assert ticker.answer() is first
    ticker.tick()
    assert ticker.answer().total == cell_of(2)
    assert ticker.newest.number == 2
    assert source.clicks == 2


def test_an_error_stands_in_the_place_of_the_answer_until_the_next_one(source: Source, ticker: Ticker) -> None:
    ticker.tick()
    source.trouble = UnavailableError("Redis does not answer")
    ticker.tick()
    with pytest.raises(UnavailableError, match=r"^Redis does not answer$"):
        ticker.answer()
    source.trouble = None
    ticker.tick()
    assert ticker.answer().total == cell_of(2)


def test_an_answer_that_grows_old_says_so_and_is_then_refused(source: Source, ticker: Ticker) -> None:
    ticker.tick()
    source.now += 1
    assert ticker.answer().states == ("said",)
    source.now += 1.5
    assert ticker.answer().states == ("said", "answer 2.5 s old")
    source.now += 2.5
    assert ticker.answer().total == cell_of(1)
    source.now += 0.1
    with pytest.raises(UnavailableError, match=r"the newest answer is 5\.1 s old"):
        ticker.answer()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_ends_the_ticker_and_is_raised_at_everybody(source: Source, ticker: Ticker) -> None:
    source.trouble = ZeroDivisionError("a bug")
    with ticker:
        assert run(ticker.after(0)).number == 0
        until(lambda: ticker.stopped, within_s=10, what="the end of the ticker")
        until(lambda: _raises(ticker), within_s=10, what="the bug")
    with pytest.raises(UnavailableError, match="the ticker ended by a bug"):
        ticker.answer()


def _raises(ticker: Ticker) -> bool:
    try:
        ticker.check()
    except ZeroDivisionError:
        return True
    return False


def test_one_thread_asks_and_any_number_wait_for_the_next_tick(source: Source) -> None:
    with Ticker(source, every_s=0.01) as ticker:

        async def watch() -> int:
            number = 0
            for _ in range(5):
                tick = await ticker.after(number)
                assert tick.number > number
                number = tick.number
            return number

        async def all_of_them() -> list[int]:
            return await asyncio.gather(*(watch() for _ in range(200)))

        before = threading.active_count()
        assert min(run(all_of_them())) >= 5
        assert threading.active_count() == before
    assert source.threads == {"ticker"}


def test_one_who_gives_up_does_not_disturb_the_others(ticker: Ticker) -> None:
    async def scenario() -> int:
        waiting = [asyncio.create_task(ticker.after(0)) for _ in range(3)]
        await suspended(*waiting)
        waiting[0].cancel()
        await turned(waiting[0].done, "one to give up")
        ticker.tick()
        return (await waiting[1]).number + (await waiting[2]).number

    assert run(scenario()) == 2


def test_a_stopped_ticker_lets_everybody_go(ticker: Ticker) -> None:
    async def scenario() -> int:
        waiting = asyncio.create_task(ticker.after(0))
        await suspended(waiting)
        ticker.stop()
        return (await waiting).number

    assert run(scenario()) == 0
    assert run(ticker.after(7)).number == 0


def test_a_loop_that_ended_while_somebody_waited_is_no_trouble(ticker: Ticker) -> None:
    loop = asyncio.new_event_loop()
    task = loop.create_task(ticker.after(0))
    loop.run_until_complete(suspended(task))
    task.cancel()
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()
    ticker.tick()
    assert run(ticker.after(0)).number == 1


# --- log ends ------------------------------------------------------------------------------------


class Log:
    def __init__(self) -> None:
        self.now = 0.0
        self.ends: dict[PartitionKey, int] | None = {CLICKS_0: 7}
        self.away = False

    def ask(self) -> dict[PartitionKey, int] | None:
        if self.away:
            raise UnavailableError("Kafka does not answer")
        return self.ends


@pytest.fixture
def log() -> Log:
    return Log()


def test_ends_are_those_of_the_last_question_for_five_seconds(log: Log) -> None:
    ends = LogEnds(log.ask, clock=lambda: log.now)
    assert ends.newest() is None
    ends.ask()
    assert ends.newest() == {CLICKS_0: 7}
    log.now = 5.0
    assert ends.newest() == {CLICKS_0: 7}
    log.now = 5.1
    assert ends.newest() is None


@pytest.mark.parametrize("how", ["none", "error"])
def test_ends_are_unknown_while_kafka_is_away(log: Log, how: str) -> None:
    ends = LogEnds(log.ask, clock=lambda: log.now)
    ends.ask()
    log.ends, log.away = None, how == "error"
    ends.ask()
    assert ends.newest() is None


def test_ends_are_asked_in_a_thread(log: Log) -> None:
    with LogEnds(log.ask, every_s=0.01) as ends:
        until(ends.newest, within_s=10, what="the ends")


# --- users ---------------------------------------------------------------------------------------


@pytest.fixture
def users(source: Source) -> Iterator[UserCounts]:
    with UserCounts(source, clock=source.clock) as counts:
        yield counts


def test_the_same_question_is_counted_once_a_second(source: Source, users: UserCounts) -> None:
    async def scenario() -> list[int]:
        source.may_count.clear()
        asked = [asyncio.create_task(users.of(1, 5)) for _ in range(20)]
        await suspended(*asked)
        asked[0].cancel()
        source.may_count.set()
        first = {(await task).users.number for task in asked[1:]}
        source.now += 1
        first.add((await users.of(1, 5)).users.number)
        source.now += 0.1
        return [*first, (await users.of(1, 5)).users.number, (await users.of(2, 5)).users.number]

    assert run(scenario()) == [1, 2, 3]
    assert source.counted == [(1, 5), (1, 5), (2, 5)]
    assert source.threads == {"users_0"}


def test_a_count_that_failed_is_tried_again_after_a_second(source: Source, users: UserCounts) -> None:
    async def scenario() -> int:
        source.trouble = UnavailableError("away")
        with pytest.raises(UnavailableError):
            await users.of(1, 5)
        source.trouble = None
        with pytest.raises(UnavailableError):
            await users.of(1, 5)
        source.now += 1.1
        return (await users.of(1, 5)).users.number

    assert run(scenario()) == 1


def test_only_some_questions_are_remembered(source: Source, users: UserCounts) -> None:
    async def scenario() -> None:
        for end in range(600):
            await users.of(0, end)

    run(scenario())
    assert len(users._asked) <= 256
