"""The merge at query time: each event once, whatever the batch layer and the sink do meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.lake.batch_view import BatchViews
from adapters.speed.memory import MemoryReader, MemoryStore
from adapters.speed.port import Snapshot, Step
from core.cells import CellKey
from core.errors import UnavailableError
from core.rules import Rules
from serving.answer import BEHIND, NO_BATCH_VIEW
from serving.merge import GapError, Merge, Users
from tests.support.batch_views import Publisher
from tests.support.events import CLICKS_0, CLICKS_1, NOW_MINUTE, at, delta_of
from tests.support.shop import SHOP, cell_of
from tests.support.speed_stores import apply

ALL = ("all", "")
DE = ("country", "DE")
MINUTE = NOW_MINUTE


class Lambda:
    """A speed view and a batch view. Every test counts clicks of one minute."""

    def __init__(self, path: Path) -> None:
        self.speed = MemoryStore(SHOP)
        self.batch = Publisher(path, Rules())
        self.views = BatchViews(self.batch.store, SHOP)
        self.merge = Merge(self.speed.reader(), self.views, SHOP)

    def stream(self, old: str, new: str, clicks: dict[int, int], floor: int = 0, **more: Any) -> None:
        """A step of the sink; `clicks`: epoch to number."""
        delta = delta_of(
            {(epoch, MINUTE): {ALL: cell_of(number), DE: cell_of(number)} for epoch, number in clicks.items()}, **more
        )
        apply(self.speed, Step(CLICKS_0, old, new, delta, floor))


@pytest.fixture
def world(tmp_path: Path) -> Lambda:
    return Lambda(tmp_path)


class Reader(MemoryReader):
    """Calls something before its first reads."""

    def __init__(self, store: MemoryStore, *before: Callable[[], None]) -> None:
        super().__init__(store)
        self._before = list(before)

    def read(self, since: int = 0, *, whole: bool = True) -> Snapshot:
        if self._before:
            self._before.pop(0)()
        return super().read(since, whole=whole)


def test_epochs_below_the_cut_come_from_the_batch_view_and_the_others_from_the_speed_view(world: Lambda) -> None:
    world.stream("", at(12, 6), {5: 10, 6: 2}, quality={5: {"accepted": 10, "late": 1}, 6: {"accepted": 2}})
    world.batch.publish(
        6, {CLICKS_0: 10}, {MINUTE: {ALL: cell_of(10), DE: cell_of(10)}}, counters={"accepted": 10, "late": 1}
    )
    answer = world.merge.answer()
    assert answer.total == cell_of(12)
    assert answer.totals == {ALL: cell_of(12), DE: cell_of(12)}
    assert answer.counters == {"accepted": 12, "late": 1}
    assert answer.vector == {CLICKS_0: 12}
    assert (answer.cut_epoch, answer.floor, answer.states) == (6, 0, ())
    assert answer.cells() == {CellKey(MINUTE, *ALL): cell_of(12), CellKey(MINUTE, *DE): cell_of(12)}


def test_every_cut_gives_the_same_answer(world: Lambda) -> None:
    clicks = {epoch: epoch + 1 for epoch in range(6)}
    world.stream("", at(21, 5), clicks)
    before = world.merge.answer()
    for cut in range(7):
        below = sum(number for epoch, number in clicks.items() if epoch < cut)
        world.batch.publish(cut, {CLICKS_0: below}, {MINUTE: {ALL: cell_of(below), DE: cell_of(below)}})
        answer = world.merge.answer()
        assert (answer.totals, answer.vector) == (before.totals, before.vector)
        assert answer.cells() == before.cells()


def test_minutes_of_both_views_are_summed(world: Lambda) -> None:
    world.stream("", at(12, 6), {6: 2})
    world.batch.publish(6, {CLICKS_0: 10}, {MINUTE - 1: {DE: cell_of(1)}, MINUTE: {DE: cell_of(9)}})
    answer = world.merge.answer()
    assert answer.series(DE, MINUTE - 5, MINUTE + 1) == {MINUTE - 1: cell_of(1), MINUTE: cell_of(11)}
    assert answer.series(DE, MINUTE - 5, MINUTE) == {MINUTE - 1: cell_of(1)}
    assert answer.between(MINUTE, MINUTE + 1)[DE] == cell_of(11)
    assert answer.between(MINUTE + 1, MINUTE + 9) == {}


def test_a_floor_above_the_cut_makes_it_take_the_pointer_again(world: Lambda) -> None:
    world.batch.publish(5, {CLICKS_0: 4}, {MINUTE: {ALL: cell_of(4)}})
    world.stream("", at(12, 6), {5: 6, 6: 2})

    def publish_and_expire() -> None:
        world.batch.publish(6, {CLICKS_0: 10}, {MINUTE: {ALL: cell_of(10)}})
        world.speed.raise_floor(6)

    answer = Merge(Reader(world.speed, publish_and_expire), world.views, SHOP).answer()
    assert (answer.total, answer.cut_epoch) == (cell_of(12), 6)


def test_an_expiry_before_the_first_version_is_seen_makes_it_look_again(world: Lambda) -> None:
    world.stream("", at(12, 6), {5: 10, 6: 2})

    def publish_and_expire() -> None:
        world.batch.publish(6, {CLICKS_0: 10}, {MINUTE: {ALL: cell_of(10)}})
        world.speed.raise_floor(6)

    assert Merge(Reader(world.speed, publish_and_expire), world.views, SHOP).answer().total == cell_of(12)


def test_a_publication_without_expiry_between_pointer_and_read_changes_nothing(world: Lambda) -> None:
    world.batch.publish(5, {CLICKS_0: 4}, {MINUTE: {ALL: cell_of(4)}})
    world.stream("", at(12, 6), {4: 4, 5: 6, 6: 2})

    def publish() -> None:
        world.batch.publish(6, {CLICKS_0: 10}, {MINUTE: {ALL: cell_of(10)}})

    merge = Merge(Reader(world.speed, publish), world.views, SHOP)
    first, second = merge.answer(), merge.answer()
    assert [first.cut_epoch, second.cut_epoch] == [5, 6]
    assert first.total == second.total == cell_of(12)


def test_views_that_stay_apart_are_no_answer(world: Lambda) -> None:
    world.batch.publish(5, {CLICKS_0: 4}, {MINUTE: {ALL: cell_of(4)}})
    world.stream("", at(12, 6), {5: 6, 6: 2})
    world.speed.raise_floor(6)
    with pytest.raises(GapError, match=r"begins at epoch 6, the batch view ends at 5.*fourfold recompute"):
        world.merge.answer()


def test_a_speed_view_that_begins_behind_the_cut_is_no_answer(world: Lambda) -> None:
    world.batch.publish(5, {CLICKS_0: 4}, {MINUTE: {ALL: cell_of(4)}})
    world.stream("", at(12, 6, first=5), {6: 7})
    with pytest.raises(GapError, match="clicks:0 begins at offset 5, the batch view ends at 4"):
        world.merge.answer()
    world.batch.publish(6, {CLICKS_0: 5}, {MINUTE: {ALL: cell_of(5)}})
    assert world.merge.answer().total == cell_of(12)


def test_a_processor_behind_the_cut_is_said_and_the_answer_is_that_of_the_cut(world: Lambda) -> None:
    world.stream("", at(3, 2), {2: 3})
    world.batch.publish(6, {CLICKS_0: 10, CLICKS_1: 2}, {MINUTE: {ALL: cell_of(12)}})
    answer = world.merge.answer()
    assert answer.states == (BEHIND,)
    assert (answer.total, answer.vector) == (cell_of(12), {CLICKS_0: 10, CLICKS_1: 2})


def test_before_the_first_version_all_comes_from_the_speed_view_and_that_is_said(world: Lambda) -> None:
    world.stream("", at(12, 6), {5: 10, 6: 2})
    answer = world.merge.answer()
    assert (answer.total, answer.states, answer.batch) == (cell_of(12), (NO_BATCH_VIEW,), None)


def test_a_batch_layer_that_fails_is_said_with_its_reason(world: Lambda) -> None:
    merge = Merge(world.speed.reader(), world.views, SHOP, wall=lambda: 12.9)
    world.stream("", at(12, 6), {5: 10, 6: 2})
    world.batch.store.tell_failure("no room", 2_000)
    assert merge.answer().states == ("batch view: none for 10 s: no room",)
    with pytest.raises(UnavailableError, match=r"no batch view yet \(batch view: none for 10 s: no room\)"):
        Merge(None, world.views, SHOP, wall=lambda: 12.9).answer()
    world.batch.publish(6, {CLICKS_0: 10}, {MINUTE: {ALL: cell_of(10)}})
    assert merge.answer().states == ("batch view: no new one for 10 s: no room",)
    assert Merge(None, world.views, SHOP, wall=lambda: 12.9).answer().states == merge.answer().states
    world.batch.store.tell_success()
    assert merge.answer().states == ()


def test_speed_alone_says_what_left_its_window(world: Lambda) -> None:
    world.stream("", at(12, 6), {5: 10, 6: 2}, floor=6)
    answer = Merge(world.speed.reader(), None, SHOP).answer()
    assert (answer.total, answer.floor, answer.states) == (cell_of(2), 6, ())


def test_batch_alone_needs_a_version(world: Lambda) -> None:
    merge = Merge(None, world.views, SHOP)
    with pytest.raises(UnavailableError, match=r"no batch view yet.*fourfold batch --once"):
        merge.answer()
    world.batch.publish(6, {CLICKS_0: 10}, {MINUTE: {ALL: cell_of(10)}})
    answer = merge.answer()
    assert (answer.total, answer.vector, answer.speed) == (cell_of(10), {CLICKS_0: 10}, None)
    assert merge.users(answer, 0, MINUTE + 1) == Users(0, exact=True)


def test_a_rollback_is_followed(world: Lambda) -> None:
    world.batch.publish(5, {CLICKS_0: 4}, {MINUTE: {ALL: cell_of(4)}})
    world.batch.publish(6, {CLICKS_0: 10}, {MINUTE: {ALL: cell_of(10)}})
    world.stream("", at(12, 6), {4: 4, 5: 6, 6: 2})
    assert world.merge.answer().cut_epoch == 6
    world.batch.store.rollback(1)
    answer = world.merge.answer()
    assert (answer.cut_epoch, answer.total) == (5, cell_of(12))


def test_a_batch_view_that_cannot_be_read_is_said(world: Lambda) -> None:
    manifest = world.batch.publish(6, {CLICKS_0: 10}, {MINUTE: {ALL: cell_of(10)}})
    for name in manifest.files():
        (world.batch.store.data / name).unlink()
    with pytest.raises(UnavailableError, match=r"parquet is damaged \(it is missing\): `fourfold recompute --full`"):
        world.merge.answer()


def test_users_below_the_cut_are_exact_and_across_it_a_sketch(world: Lambda) -> None:
    world.batch.publish(6, {CLICKS_0: 10}, users={MINUTE - 1: ["ann", "bob", "cid"], MINUTE: ["ann", "dan"]})
    world.stream("", at(12, 6), {6: 2}, users={(6, MINUTE): ["dan", "eve"]})
    merge, answer = world.merge, world.merge.answer()
    assert merge.users(answer, MINUTE - 1, MINUTE) == Users(3, exact=True)
    assert merge.users(answer, MINUTE - 1, MINUTE + 1) == Users(5, exact=False)
    assert merge.users(answer, MINUTE - 9, MINUTE - 1) == Users(0, exact=True)


def test_users_of_covered_epochs_are_not_asked_from_the_sketch(world: Lambda) -> None:
    world.batch.publish(6, {CLICKS_0: 10}, users={MINUTE: ["ann"]})
    world.stream("", at(12, 6), {5: 1, 6: 1}, users={(5, MINUTE): ["gone"], (6, MINUTE): ["ann", "eve"]})
    answer = world.merge.answer()
    assert world.merge.users(answer, MINUTE, MINUTE + 1) == Users(2, exact=False)


def test_users_of_a_speed_view_alone_are_a_sketch(world: Lambda) -> None:
    world.stream("", at(12, 6), {6: 2}, users={(6, MINUTE): ["dan", "eve"]})
    merge = Merge(world.speed.reader(), None, SHOP)
    assert merge.users(merge.answer(), MINUTE, MINUTE + 1) == Users(2, exact=False)
