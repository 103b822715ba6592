"""One frame for all who watch: the newest at once, none waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from serving.http.fanout import Fanout
from tests.support.waiting import suspended


def play(scenario: Callable[[Fanout], Awaitable[None]], clock: Callable[[], float] = lambda: 0.0) -> None:
    async def run() -> None:
        await asyncio.wait_for(scenario(Fanout(2.0, clock)), 10)

    asyncio.run(run())


async def waiting(fanout: Fanout) -> tuple[AsyncIterator[bytes], asyncio.Task[bytes]]:
    """A watcher that waits for its next frame."""
    watch = fanout.watch()
    task = asyncio.ensure_future(anext(watch))
    await suspended(task)
    return watch, task


def test_the_newest_frame_comes_at_once() -> None:
    async def scenario(fanout: Fanout) -> None:
        fanout.tell(b"1")
        fanout.tell(b"2")
        assert await anext(fanout.watch()) == b"2"

    play(scenario)


def test_an_old_frame_is_news_to_nobody() -> None:
    now = [0.0]

    async def scenario(fanout: Fanout) -> None:
        fanout.tell(b"old")
        early = fanout.watch()
        assert await anext(early) == b"old"
        now[0] = 2.1
        _, task = await waiting(fanout)
        assert not task.done()
        fanout.tell(b"new")
        assert await task == await anext(early) == b"new"

    play(scenario, lambda: now[0])


def test_all_who_wait_get_the_same_frame() -> None:
    async def scenario(fanout: Fanout) -> None:
        watchers = [await waiting(fanout) for _ in range(300)]
        assert fanout.watchers == 300
        frame = b"a frame"
        fanout.tell(frame)
        assert {id(await task) for _, task in watchers} == {id(frame)}

    play(scenario)


def test_who_is_slow_skips_what_came_meanwhile() -> None:
    async def scenario(fanout: Fanout) -> None:
        fanout.tell(b"1")
        watch = fanout.watch()
        assert await anext(watch) == b"1"
        for frame in (b"2", b"3", b"4"):
            fanout.tell(frame)
        assert await anext(watch) == b"4"
        task = asyncio.ensure_future(anext(watch))
        await suspended(task)
        assert not task.done()
        fanout.tell(b"5")
        assert await task == b"5"

    play(scenario)


def test_who_vanishes_is_forgotten_and_the_others_go_on() -> None:
    async def scenario(fanout: Fanout) -> None:
        (gone, lost), (_, kept) = await waiting(fanout), await waiting(fanout)
        lost.cancel()
        await asyncio.gather(lost, return_exceptions=True)
        await gone.aclose()  # type: ignore[attr-defined]
        assert fanout.watchers == 1
        fanout.tell(b"1")
        assert await kept == b"1"

    play(scenario)


def test_the_end_ends_all_and_those_who_come_later() -> None:
    async def scenario(fanout: Fanout) -> None:
        _, task = await waiting(fanout)
        fanout.end()
        done = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(done[0], StopAsyncIteration)
        assert [frame async for frame in fanout.watch()] == []
        assert fanout.watchers == 0

    play(scenario)
