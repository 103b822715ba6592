"""Work on an answer: once for all who ask, anew for another answer."""

from __future__ import annotations

import asyncio
import threading

import pytest

from serving.answer import Answer
from serving.http.once import Once
from tests.support.shop import ZERO
from tests.support.waiting import suspended


class Work:
    """Counts how often it is done; waits for leave."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.leave = threading.Event()
        self.leave.set()

    def __call__(self, answer: Answer, number: int) -> int:
        assert self.leave.wait(10)
        self.done.append(number)
        if number < 0:
            raise ZeroDivisionError
        return answer.lost + number


@pytest.fixture
def work() -> Work:
    return Work()


def test_it_is_done_once_for_all_who_ask_even_if_the_first_gives_up(work: Work) -> None:
    async def scenario() -> list[int]:
        once, answer = Once(), Answer(ZERO, lost=10)
        work.leave.clear()
        asked = [asyncio.create_task(once.of(answer, work, 1)) for _ in range(20)]
        await suspended(*asked)
        asked[0].cancel()
        work.leave.set()
        return [*await asyncio.gather(*asked[1:]), await once.of(answer, work, 2)]

    assert asyncio.run(scenario()) == [11] * 19 + [12]
    assert work.done == [1, 2]


def test_another_answer_has_results_of_its_own(work: Work) -> None:
    async def scenario() -> list[int]:
        once = Once()
        return [await once.of(Answer(ZERO, lost=lost), work, 1) for lost in (1, 2)]

    assert asyncio.run(scenario()) == [2, 3]


def test_a_bug_is_raised_at_all_who_asked(work: Work) -> None:
    async def scenario() -> list[BaseException | int]:
        once, answer = Once(), Answer(ZERO)
        return await asyncio.gather(*(once.of(answer, work, -1) for _ in range(3)), return_exceptions=True)

    assert [type(error) for error in asyncio.run(scenario())] == [ZeroDivisionError] * 3
    assert work.done == [-1]


def test_results_of_one_answer_are_bounded(work: Work) -> None:
    async def scenario() -> int:
        once, answer = Once(), Answer(ZERO)
        for number in range(600):
            await once.of(answer, work, number)
        return len(once._results)

    assert asyncio.run(scenario()) <= 256
