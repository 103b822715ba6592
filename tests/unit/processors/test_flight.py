"""The step on its way: the next poll is folded meanwhile, and whatever becomes of the step, all is counted once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from adapters.speed.port import Outcome, RefusedError, Step
from core.errors import UnavailableError
from core.position import PartitionKey, Position
from processors import flight as module
from processors.batches import Fetched
from processors.flight import Flight
from tests.support.events import CLICKS_0, Record
from tests.support.small_worker import Offsets, Script, Worker, batch, some
from tests.support.waiting import turned

NOWHERE = Offsets()


class Slow(Script):
    """Takes steps when it is told to; `arrived` counts those that have come."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived = 0
        self.free = asyncio.Event()
        self.free.set()

    async def apply(self, steps: Sequence[Step]) -> dict[PartitionKey, Outcome]:
        self.arrived += 1
        await self.free.wait()
        return await super().apply(steps)


class World:
    """A worker with a flight. `failed`: what ended it."""

    def __init__(self) -> None:
        self.script = Slow()
        self.worker = Worker(self.script)
        self.failed: list[BaseException] = []
        self.flight = Flight(self.worker.processor, self.failed.append)
        self.generation = 0

    async def restore(self) -> int:
        """As the transport after a seek; where it reads on."""
        self.generation += 1
        try:
            plan = await self.worker.book.restore([CLICKS_0], NOWHERE)
        except UnavailableError:
            return await self.restore()
        self.worker.book.generation = self.generation
        return plan[CLICKS_0]

    async def take(self, base: int, found: list[Record]) -> None:
        await self.flight.take(Fetched(self.generation, [batch(CLICKS_0, base, found)]))

    @property
    def position(self) -> int:
        return self.worker.positions.get(CLICKS_0, Position()).next


def play(scene: Callable[[World], Awaitable[Any]]) -> World:
    async def begin() -> World:
        world = World()
        await world.restore()
        world.script.arrived = 0
        await asyncio.wait_for(scene(world), 5)
        await world.flight.land()
        return world

    return asyncio.run(begin())


def test_a_poll_is_folded_while_the_step_before_is_on_its_way() -> None:
    async def scene(world: World) -> None:
        world.script.free.clear()
        await world.take(0, some(3))
        # it has left, and nobody waits for it
        assert (world.script.arrived, world.position) == (1, 0)
        second = asyncio.ensure_future(world.take(3, some(2, 3)))
        held = world.worker.book[CLICKS_0]
        assert held is not None
        await turned(lambda: held.cursor == 5, "the next poll to be folded")
        # one at a time
        assert (world.script.arrived, second.done(), held.counted) == (1, False, 0)
        world.script.free.set()
        await second
        assert not held.clean or world.position == 5

    world = play(scene)
    assert (world.position, world.worker.totals, world.worker.rejections) == (5, {"accepted": 5}, 0)
    held = world.worker.book[CLICKS_0]
    assert held is not None
    assert (held.clean, held.counted, held.stored) == (True, 5, held.sent)


def test_what_was_folded_behind_a_refused_step_is_thrown_away() -> None:
    async def scene(world: World) -> None:
        world.script.free.clear()
        world.script.troubles = ["conflict"]
        await world.take(0, some(3))
        second = asyncio.ensure_future(world.take(3, some(2, 3)))
        await asyncio.sleep(0)
        world.script.free.set()
        await second
        assert (world.script.arrived, world.worker.rejections, world.position) == (1, 1, 0)
        assert world.worker.processor.work.stale == 1
        assert await world.restore() == 0
        await world.take(0, some(5))

    world = play(scene)
    assert (world.position, world.worker.totals) == (5, {"accepted": 5})


def test_what_was_folded_and_never_left_is_read_again_although_the_step_before_arrived() -> None:
    async def scene(world: World) -> None:
        world.script.free.clear()
        await world.take(0, some(3))
        second = asyncio.ensure_future(world.take(3, some(2, 3)))
        held = world.worker.book[CLICKS_0]
        assert held is not None
        await turned(lambda: held.cursor == 5, "the next poll to be folded")
        world.worker.book.forget()
        world.script.free.set()
        await second
        assert (world.position, held.clean) == (3, False)
        assert await world.restore() == 3
        await world.take(3, some(2, 3))

    world = play(scene)
    assert (world.position, world.worker.totals) == (5, {"accepted": 5})


def test_while_the_store_is_away_polls_wait() -> None:
    async def scene(world: World) -> None:
        world.script.troubles = ["away", "away", "reply lost"]
        await world.take(0, some(3))
        await world.take(3, some(2, 3))

    world = play(scene)
    assert (world.position, world.worker.totals, world.worker.rejections) == (5, {"accepted": 5}, 0)
    assert world.worker.processor.work.retries == 3


def test_a_step_that_cannot_be_taken_ends_the_worker_without_another_poll() -> None:
    async def scene(world: World) -> None:
        async def refuse(_: Step) -> Outcome:
            world.script.arrived += 1
            raise RefusedError("no")

        world.script.apply = refuse  # type: ignore[method-assign]
        await world.take(0, some(3))
        await turned(lambda: world.failed, "the worker to fail")
        # it has not ended yet
        await world.take(3, some(2, 3))

    world = play(scene)
    assert [str(error) for error in world.failed] == ["no"]
    assert (world.script.arrived, world.position, world.worker.rejections) == (1, 0, 0)


def test_what_was_folded_behind_a_step_that_cannot_be_taken_is_not_tried() -> None:
    async def scene(world: World) -> None:
        async def refuse(_: Step) -> Outcome:
            world.script.arrived += 1
            await world.script.free.wait()
            raise RefusedError("no")

        world.script.apply = refuse  # type: ignore[method-assign]
        world.script.free.clear()
        await world.take(0, some(3))
        second = asyncio.ensure_future(world.take(3, some(2, 3)))
        await asyncio.sleep(0)
        world.script.free.set()
        await second

    world = play(scene)
    assert [str(error) for error in world.failed] == ["no"]
    assert (world.script.arrived, world.position) == (1, 0)


def test_at_the_end_a_step_has_a_short_time_to_arrive(monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "BOUND_S", 0.01)

    async def ends(world: World) -> None:
        await world.take(0, some(3))
        await world.flight.close()
        assert world.position == 3
        world.script.free.clear()
        await world.take(3, some(2, 3))
        await world.flight.close()

    world = play(ends)
    assert (world.position, world.failed) == (3, [])


EVENTS = st.lists(
    st.sampled_from(["take", "take", "away", "conflict", "reply lost", "revoked", "revoked late", "slow", "flush"]),
    max_size=20,
)


async def undergo(world: World, event: str, at: int) -> int:
    """Takes the two records from `at` on, or from where it has to read again, while something happens; where it is then."""
    script, book = world.script, world.worker.book
    script.troubles = [event] if event in ("away", "conflict", "reply lost") else []
    if event == "revoked":
        book.forget()
    if event == "flush":
        script.flush()
    if book.generation != world.generation:
        at = await world.restore()
    if event in ("slow", "revoked late"):
        script.free.clear()
    taking = asyncio.ensure_future(world.take(at, some(2, at)))
    for _ in range(20):
        await asyncio.sleep(0)
    if event == "revoked late":
        book.forget()
    script.free.set()
    await taking
    return at + 2


@given(EVENTS)
def test_whatever_happens_every_record_counts_once(events: list[str]) -> None:
    async def scene(world: World) -> None:
        at = 0
        for event in events:
            at = await undergo(world, event, at)
            assert world.worker.totals.get("accepted", 0) == world.position
        for _ in range(3):
            await world.flight.land()
            at = await undergo(world, "take", at)
        await world.flight.land()
        assert world.position == at

    world = play(scene)
    assert world.worker.totals == {"accepted": world.position}
    assert world.failed == []
