"""The live stream: one frame for all watchers, changes only, and no queue for a slow one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from core.errors import UnavailableError
from serving.http.broadcast import Broadcast
from serving.http.documents import Documents
from serving.http.sources import Sources
from tests.support.api_world import ApiWorld
from tests.support.events import NOW_MS, at
from tests.support.shop import SHOP
from tests.support.waiting import turned


def broadcast(world: ApiWorld, heartbeat_s: float = 60, every_s: float = 0) -> Broadcast:
    sources = Sources(world.ticker, world.log_ends, world.users, world.provenance, None, None, lambda: 0.0)
    return Broadcast(sources, Documents(SHOP), every_s=every_s, heartbeat_s=heartbeat_s)


def play(made: Broadcast, scenario: Callable[[], Awaitable[None]]) -> None:
    """Runs the scenario beside the broadcast."""

    async def both() -> None:
        task = asyncio.create_task(made.run())
        async with asyncio.timeout(20):
            await scenario()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(both())


def parsed(frame: bytes) -> tuple[str, int, dict[str, Any]]:
    assert frame.endswith(b"\n\n")
    event, number, data = (line.split(b": ", 1) for line in frame[:-2].split(b"\n"))
    assert (event[0], number[0], data[0]) == (b"event", b"id", b"data")
    return event[1].decode(), int(number[1]), json.loads(data[1])


async def following(watch: AsyncIterator[bytes]) -> tuple[str, int, dict[str, Any]]:
    return parsed(await anext(watch))


async def noticed(made: Broadcast, act: Callable[[], object]) -> None:
    """Does something, and returns when the broadcast has seen it."""
    beats = made.beats
    act()
    await turned(lambda: made.beats > beats, "the broadcast to look")


def more(world: ApiWorld, offset: int) -> None:
    """Two more events, and a tick."""
    position = {"epoch": 20, "newest_ms": NOW_MS, "appended_ms": NOW_MS}
    for partition in world.speed._partitions.values():
        partition.position = at(offset, **position)
    world.tick()


def test_the_newest_counts_come_at_once_and_then_each_change(world: ApiWorld) -> None:
    made = broadcast(world)

    async def scenario() -> None:
        watch = made.watch()
        event, number, document = await following(watch)
        assert (event, number, document["totals"]["clicks"]) == ("counts", 1, 10)
        assert document["provenance"]["batch_version"] == 1
        more(world, 15)
        event, number, document = await following(watch)
        assert (event, number, document["provenance"]["offsets"]) == ("counts", 2, {"clicks:0": 15})

    play(made, scenario)


def test_all_watchers_share_one_frame(world: ApiWorld) -> None:
    made = broadcast(world)

    async def scenario() -> None:
        watches = [made.watch() for _ in range(300)]
        frames = await asyncio.gather(*(anext(watch) for watch in watches))
        assert len({id(frame) for frame in frames}) == 1
        assert made.watchers == 300
        for watch in watches:
            await watch.aclose()
        assert made.watchers == 0

    play(made, scenario)


def test_a_slow_watcher_skips_what_it_missed(world: ApiWorld) -> None:
    made = broadcast(world)

    async def scenario() -> None:
        slow, quick = made.watch(), made.watch()
        assert (await following(slow))[1] == (await following(quick))[1] == 1
        for offset in range(20, 25):
            more(world, offset)
            await following(quick)
        _, number, document = await following(slow)
        assert (number, document["provenance"]["offsets"]) == (6, {"clicks:0": 24})
        more(world, 25)
        assert (await following(slow))[1] == 7

    play(made, scenario)


def test_ticks_without_a_change_are_not_told_but_the_heart_beats(world: ApiWorld) -> None:
    made = broadcast(world, heartbeat_s=0.05)

    async def scenario() -> None:
        watch = made.watch()
        await following(watch)
        world.tick()
        event, number, document = await following(watch)
        assert (event, number, document["offsets"]) == ("heartbeat", 2, {"clicks:0": 13})

    play(made, scenario)


def test_a_change_comes_before_any_heartbeat(world: ApiWorld) -> None:
    made = broadcast(world)

    async def scenario() -> None:
        watch = made.watch()
        await following(watch)
        for _ in range(5):
            await noticed(made, world.tick)
        more(world, 15)
        assert (await following(watch))[:2] == ("counts", 2)

    play(made, scenario)


def test_changes_are_told_so_often_at_most(world: ApiWorld) -> None:
    made = broadcast(world, every_s=30)

    async def scenario() -> None:
        watch = made.watch()
        await following(watch)
        for offset in range(20, 25):
            await noticed(made, lambda offset=offset: more(world, offset))  # type: ignore[misc]
        assert made._fanout.number == 1

    play(made, scenario)


def test_a_problem_is_told_once_and_so_is_its_end(world: ApiWorld) -> None:
    made = broadcast(world)

    async def scenario() -> None:
        watch = made.watch()
        await following(watch)
        world.reader.trouble = UnavailableError("Redis does not answer")
        world.tick()
        assert await following(watch) == (
            "unavailable",
            2,
            {"title": "Service Unavailable", "status": 503, "detail": "Redis does not answer"},
        )
        await noticed(made, world.tick)
        world.reader.trouble = None
        world.tick()
        assert (await following(watch))[:2] == ("counts", 3)

    play(made, scenario)


def test_a_ticker_that_hangs_is_told(world: ApiWorld) -> None:
    made = broadcast(world, heartbeat_s=0.02)

    async def scenario() -> None:
        watch = made.watch()
        await following(watch)
        world.clock += 6
        while (told := await following(watch))[0] != "unavailable":
            pass
        assert "6.0 s old" in told[2]["detail"]

    play(made, scenario)


def test_streams_end_when_the_ticker_stops(world: ApiWorld) -> None:
    made = broadcast(world)

    async def scenario() -> None:
        watch = made.watch()
        await following(watch)
        world.ticker.stop()
        with pytest.raises(StopAsyncIteration):
            await anext(watch)
        assert made.watchers == 0

    play(made, scenario)


def test_a_bug_ends_streams_and_is_raised_at_new_ones(world: ApiWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    made = broadcast(world)

    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(world.log_ends, "newest", broken)

    async def scenario() -> None:
        with pytest.raises(ZeroDivisionError):
            await made.run()
        with pytest.raises(UnavailableError, match="ended by a bug"):
            await anext(made.watch())
        with pytest.raises(ZeroDivisionError):
            made.check()

    asyncio.run(scenario())
