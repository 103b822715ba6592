"""The agent's work: each poll is counted exactly once or thrown away whole."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.speed.memory import MemoryStore
from adapters.speed.port import Step
from core.delta import Delta
from core.errors import UnavailableError
from core.partition import PartitionFold
from core.position import PartitionKey, Position
from core.rules import Rules
from processors.processor import FIRST_PAUSE_S, LONGEST_PAUSE_S
from tests.support.events import CLICKS_0, CLICKS_1, NOW_MS, SALES_0, Record, click, records, sale
from tests.support.shop import SHOP, fold_of
from tests.support.small_worker import RULES, Script, Worker, batch, some
from tests.support.speed_stores import apply


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def worker(script: Script) -> Worker:
    made = Worker(script)
    made.restore(CLICKS_0, CLICKS_1, SALES_0)
    return made


def test_a_poll_of_several_partitions_is_one_step(worker: Worker, script: Script) -> None:
    worker.take(batch(CLICKS_0, 0, some(3)), batch(SALES_0, 0, records([sale()])))
    assert script.events == ["apply"]
    assert {s: p.next for s, p in worker.positions.items()} == {CLICKS_0: 3, CLICKS_1: 0, SALES_0: 1}
    assert worker.totals == {"accepted": 4}
    work = worker.processor.work
    assert (work.batches, work.records, work.stale, work.conflicts) == (1, 4, 0, 0)
    assert all(held.clean for held in worker.book.held.values())


def test_polls_follow_one_another(worker: Worker) -> None:
    worker.take(batch(CLICKS_0, 0, some(3)))
    worker.take(batch(CLICKS_0, 3, some(2, 3), end=9))
    worker.take(batch(CLICKS_0, 9, [], end=11))
    position = worker.positions[CLICKS_0]
    assert (position.next, position.accepted, position.gaps) == (11, 5, 6)
    assert position.conserved


@pytest.mark.parametrize("generation", [0, 2, -1])
def test_a_poll_of_another_generation_is_stale(worker: Worker, script: Script, generation: int) -> None:
    worker.take(batch(CLICKS_0, 0, some(3)), generation=generation)
    assert script.events == []
    assert worker.processor.work.stale == 1
    assert worker.rejections == 0
    assert worker.book[CLICKS_0].clean  # type: ignore[union-attr]


@pytest.mark.parametrize("base", [1, None])
def test_a_poll_over_a_hole_is_thrown_away_and_read_again(worker: Worker, script: Script, base: int | None) -> None:
    worker.take(batch(CLICKS_1, 0, some(1)), batch(CLICKS_0, base, some(3, 1)))
    assert script.events == []
    assert (worker.rejections, worker.processor.work.conflicts) == (1, 1)
    # the partition that was folded already must not be used again
    assert not worker.book[CLICKS_1].clean  # type: ignore[union-attr]
    worker.restore(CLICKS_0, CLICKS_1)
    worker.take(batch(CLICKS_1, 0, some(1)), batch(CLICKS_0, 0, some(3)))
    assert worker.totals == {"accepted": 4}


def test_a_poll_of_a_partition_that_is_not_ours_is_thrown_away(worker: Worker, script: Script) -> None:
    worker.take(batch(PartitionKey("clicks", 9), 0, some(3)))
    assert script.events == []
    assert worker.rejections == 1


def test_a_conflict_throws_the_poll_away_and_leaves_the_partitions_dirty(worker: Worker, script: Script) -> None:
    script.troubles = ["conflict"]
    worker.take(batch(CLICKS_0, 0, some(3)))
    assert (worker.rejections, worker.processor.work.conflicts, worker.processor.work.batches) == (1, 1, 0)
    assert not worker.book[CLICKS_0].clean  # type: ignore[union-attr]
    assert worker.totals == {}
    worker.restore(CLICKS_0)
    worker.take(batch(CLICKS_0, 0, some(3)))
    assert worker.totals == {"accepted": 3}


def test_a_zombie_that_comes_back_counts_nothing_twice(script: Script) -> None:
    zombie, heir = Worker(script), Worker(script)
    zombie.restore(CLICKS_0)
    heir.restore(CLICKS_0)
    heir.take(batch(CLICKS_0, 0, some(3)))
    zombie.take(batch(CLICKS_0, 0, some(2)))
    assert zombie.rejections == 1
    assert heir.totals == {"accepted": 3}
    # even the very same poll: it was applied, once
    late = Worker(script)
    late.restore(CLICKS_0)
    assert late.book[CLICKS_0].cursor == 3  # type: ignore[union-attr]


def test_a_store_that_is_away_is_tried_again_until_it_is_back(worker: Worker, script: Script) -> None:
    script.troubles = ["away"] * 9
    waited: list[bool] = []
    worker.while_waiting = lambda: waited.append(worker.processor.work.waiting)
    worker.take(batch(CLICKS_0, 0, some(3)))
    assert worker.totals == {"accepted": 3}
    assert worker.pauses[0] == FIRST_PAUSE_S
    assert worker.pauses == sorted(worker.pauses)
    assert worker.pauses[-1] == LONGEST_PAUSE_S
    assert waited == [True] * 9
    work = worker.processor.work
    assert (work.retries, work.waiting, work.conflicts, work.batches) == (9, False, 0, 1)


def test_a_step_whose_reply_was_lost_is_counted_once(worker: Worker, script: Script) -> None:
    script.troubles = ["reply lost", "away"]
    worker.take(batch(CLICKS_0, 0, some(3)))
    assert script.events == ["apply reply lost", "apply away", "apply"]
    assert worker.totals == {"accepted": 3}
    assert worker.rejections == 0
    worker.take(batch(CLICKS_0, 3, some(1, 3)))
    assert worker.totals == {"accepted": 4}


def test_a_poll_that_becomes_stale_while_the_store_is_away_is_thrown_away(worker: Worker, script: Script) -> None:
    script.troubles = ["away"] * 100
    worker.while_waiting = worker.book.forget
    worker.take(batch(CLICKS_0, 0, some(3)))
    assert script.events == ["apply away"]
    assert (worker.rejections, worker.totals) == (1, {})
    assert not worker.book[CLICKS_0].clean  # type: ignore[union-attr]


def test_positions_that_are_lost_in_the_middle_are_a_conflict_and_counted_again(worker: Worker, script: Script) -> None:
    worker.take(batch(CLICKS_0, 0, some(3)))
    script.flush()
    worker.take(batch(CLICKS_0, 3, some(2, 3)))
    assert (worker.rejections, worker.totals) == (1, {})
    assert worker.restore(CLICKS_0)[CLICKS_0] == 0
    worker.take(batch(CLICKS_0, 0, some(5)))
    assert worker.totals == {"accepted": 5}


def test_dead_letters_are_acknowledged_before_the_step(worker: Worker, script: Script) -> None:
    worker.take(batch(CLICKS_0, 0, records([b"\xff", click(), None])))
    assert script.events == ["publish", "apply"]
    assert [(letter.offset, letter.value) for letter in script.published] == [(0, b"\xff"), (2, None)]
    assert worker.totals == {"accepted": 1, "rejected:not_json": 2}
    assert worker.processor.work.dead_letters == 2


def test_nothing_is_counted_while_dead_letters_are_not_acknowledged(worker: Worker, script: Script) -> None:
    script.troubles = ["away", "away"]
    worker.while_waiting = lambda: script.events.append(f"accepted {worker.totals.get('accepted', 0)}")
    worker.take(batch(CLICKS_0, 0, records([b"\xff", click()])))
    assert script.events == ["publish away", "accepted 0", "publish away", "accepted 0", "publish", "apply"]


def test_dead_letters_of_a_poll_that_becomes_stale_are_not_counted(worker: Worker, script: Script) -> None:
    script.troubles = ["away"]
    worker.while_waiting = worker.book.forget
    worker.take(batch(CLICKS_0, 0, records([b"\xff"])))
    assert script.events == ["publish away"]
    assert worker.positions[CLICKS_0].next == 0


def test_a_poll_without_rejected_records_publishes_nothing(worker: Worker, script: Script) -> None:
    worker.take(batch(CLICKS_0, 0, some(1)))
    assert "publish" not in script.events


def test_warming_up_counts_nothing_and_applies_nothing(script: Script) -> None:
    Worker(script).restore(CLICKS_0)
    first = Worker(script)
    first.restore(CLICKS_0)
    first.take(batch(CLICKS_0, 0, some(5)))
    again = Worker(script)
    assert again.restore(CLICKS_0, found={CLICKS_0: 2}) == {CLICKS_0: 2}
    again.take(batch(CLICKS_0, 2, some(2, 2)))
    assert script.events == []
    assert again.book[CLICKS_0].clean  # type: ignore[union-attr]
    # the rest of the memory and the first new record in one poll: one of them is a duplicate
    values = [click(id="e4"), click(id="e3"), click(id="new")]
    again.take(batch(CLICKS_0, 4, records(values, start=4)))
    assert again.totals == {"accepted": 6, "duplicates": 1}


@pytest.mark.parametrize(("keep", "floor"), [(0, 0), (3, 7), (10, 0), (50, 0)])
def test_the_floor_follows_the_newest_epoch_where_epochs_expire(script: Script, keep: int, floor: int) -> None:
    worker = Worker(script, Rules(epoch_ms=1_000, keep_epochs=keep))
    worker.restore(CLICKS_0)
    worker.take(batch(CLICKS_0, 0, [Record(0, 10_500, b"appended in epoch 10")]))
    assert script.snapshot().floor == floor


def test_work_of_more_than_a_slice_is_one_step(worker: Worker, script: Script) -> None:
    worker.take(batch(CLICKS_0, 0, some(7_001)))
    assert script.events == ["apply"]
    assert worker.totals == {"accepted": 7_001}
    assert worker.processor.work.records == 7_001


def test_an_error_of_the_program_is_not_swallowed_and_leaves_the_partition_dirty(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(PartitionFold, "fold", broken)
    with pytest.raises(ZeroDivisionError):
        worker.take(batch(CLICKS_0, 0, some(1)))
    assert not worker.book[CLICKS_0].clean  # type: ignore[union-attr]


class Crew:
    """Two workers on one log, of which one is at work; the other is a zombie until it is its turn."""

    def __init__(self, log: list[Record]) -> None:
        self.log = log
        self.script = Script()
        self.workers = [Worker(self.script), Worker(self.script)]
        self.at_work = 0

    def poll(self, size: int) -> None:
        worker = self.workers[self.at_work]
        if worker.book.generation < 0:
            self.open(worker)
        held = worker.book[CLICKS_0]
        if held is None:
            return
        if part := self.log[held.cursor : held.cursor + size]:
            worker.take(batch(CLICKS_0, held.cursor, part), generation=worker.book.generation)

    def open(self, worker: Worker) -> None:
        """As after an assignment."""
        position = self.script.snapshot().positions.get(CLICKS_0, Position())
        since = RULES.warm_up_from(position.epoch)
        found = next((r.offset for r in self.log if r.timestamp >= since), None)
        known = {} if found is None else {CLICKS_0: found}
        with contextlib.suppress(UnavailableError):
            worker.restore(CLICKS_0, generation=worker.book.restores + 1, found=known)

    def undergo(self, event: str) -> None:
        worker = self.workers[self.at_work]
        if event in ("away", "conflict", "reply lost"):
            self.script.troubles = [event]
        elif event == "rebalance":
            self.open(worker)
        elif event == "flush":
            self.script.flush()
        elif event == "skip" and worker.book.generation >= 0:
            worker.take(batch(CLICKS_0, 59, self.log[59:]), generation=worker.book.generation)
        elif event == "zombie":
            self.at_work = 1 - self.at_work

    def check(self) -> None:
        """The view is what one worker without any trouble would have made of the log so far."""
        seen = self.script.snapshot()
        position = seen.positions.get(CLICKS_0)
        twin = MemoryStore(SHOP)
        if position is not None:
            delta = Delta()
            fold = fold_of(CLICKS_0, Position(), RULES)
            fold.fold(self.log[: position.next], position.next, delta)
            apply(twin, Step(CLICKS_0, "", fold.position.encode(), delta))
        assert seen == twin.snapshot()


EVENTS = st.lists(
    st.sampled_from(["poll", "poll", "poll", "away", "conflict", "reply lost", "rebalance", "flush", "skip", "zombie"]),
    min_size=3,
    max_size=25,
)


@given(EVENTS, st.lists(st.integers(1, 6), min_size=1, max_size=8), st.integers(0, 3))
def test_whatever_happens_every_record_counts_once(events: list[str], sizes: list[int], dirt: int) -> None:
    values = [b"\xff" if dirt and n % 5 == dirt else click(NOW_MS, id=f"e{n % 11}") for n in range(60)]
    crew = Crew([record._replace(timestamp=NOW_MS + 150 * n) for n, record in enumerate(records(values))])
    for number, event in enumerate(events):
        crew.undergo(event)
        crew.poll(sizes[number % len(sizes)])
        crew.script.troubles = []
        crew.check()
    for _ in range(100):
        crew.poll(20)
    crew.check()
    assert crew.script.snapshot().vector == {CLICKS_0: 60}
