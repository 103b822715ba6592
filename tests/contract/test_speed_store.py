"""What a store of speed views must do: the same cases on the twin in memory and on a real Redis."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from adapters.speed.memory import MemoryStore
from adapters.speed.port import Move, Outcome, RefusedError, Snapshot, SpeedFloor, SpeedReader, SpeedSink, Step
from adapters.speed.redis_errors import LATER_S, Patience, ReplicaError
from adapters.speed.redis_floor import RedisFloor
from adapters.speed.redis_reader import RedisReader
from adapters.speed.redis_sink import RedisSink
from core.cells import Cell, CellKey
from core.errors import ConfigurationError, UnavailableError
from core.position import PartitionKey, Position
from core.rules import Rules
from tests.support.events import CLICKS_0, CLICKS_1, SALES_0, at, delta_of
from tests.support.shop import DIMENSIONS, SHOP, cell_of

ALL = ("all", "")
ODD = [
    "",
    "|",
    ":",
    "a:b",
    "q",
    "-1",
    "0",
    "ü",
    "中文",
    "😀",
    "\x00",
    "\n\r\t",
    "\x1b[31m",
    "[red]",
    "{v1}",
    " ",
    "x" * 64,
]


class Store:
    """A sink and any number of readers of one view. Calls of the sink run in one event loop."""

    def __init__(
        self,
        sink: SpeedSink,
        reader: Callable[[], SpeedReader],
        flush: Callable[[], Any],
        floor: SpeedFloor,
        lose: Callable[[str], Any],
    ) -> None:
        self.sink = sink
        self.lose = lose
        self.reader = reader
        self.flush = flush
        self.floor = floor
        self._runner = asyncio.Runner()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)

    def apply(self, *moves: Move, floor: int = 0, **delta: Any) -> Outcome:
        outcome: Outcome = self.run(self.sink.apply(Step(moves, delta_of(**delta), floor)))
        return outcome

    def read(self) -> Snapshot:
        """As a reader sees it that knows nothing yet."""
        reader = self.reader()
        try:
            return reader.read()
        finally:
            reader.close()

    def close(self) -> None:
        self.run(self.sink.close())
        self._runner.close()


def in_memory() -> Store:
    store = MemoryStore()
    return Store(store, store.reader, store.flush, store, store.lose)


def in_redis(address: str) -> Store:
    """A view of its own in the Redis at `address`."""
    namespace = f"t{uuid.uuid4().hex[:12]}"
    admin = Redis.from_url(address)

    def reader() -> RedisReader:
        return RedisReader(Redis.from_url(address), namespace, SHOP)

    def lose(key: str) -> None:
        assert admin.delete(f"{{{namespace}}}:{key}") == 1

    return Store(
        RedisSink(AsyncRedis.from_url(address), namespace, SHOP),
        reader,
        admin.flushall,
        RedisFloor(admin, namespace),
        lose,
    )


@pytest.fixture(params=["memory", pytest.param("redis", marks=[pytest.mark.integration, pytest.mark.versions])])
def make(request: pytest.FixtureRequest) -> Callable[[], Store]:
    """Makes an empty store."""
    if request.param == "memory":
        return in_memory
    address = request.getfixturevalue("servers").redis
    return lambda: in_redis(address)


@pytest.fixture
def store(make: Callable[[], Store]) -> Iterator[Store]:
    made = make()
    yield made
    made.close()


def first(source: PartitionKey = CLICKS_0, offset: int = 1) -> Move:
    return Move(source, "", at(offset))


# --- steps ---------------------------------------------------------------------------------------


def test_an_empty_view_has_nothing(store: Store) -> None:
    snapshot = store.read()
    assert snapshot == Snapshot({}, 0, {}, {}, {}, {})
    assert snapshot.merged() == {}
    assert store.run(store.sink.positions([CLICKS_0])) == {CLICKS_0: None}
    assert store.run(store.sink.all_positions()) == {}
    assert store.reader().rules() is None
    assert store.reader().distinct_users(range(10)) == 0


def test_a_step_moves_positions_and_adds_everything(store: Store) -> None:
    new = at(3, 7)
    outcome = store.apply(
        Move(CLICKS_0, "", new),
        Move(SALES_0, "", at(2, 7)),
        cells={(7, 100): {ALL: cell_of(3, 2, 5, 900), ("country", "DE"): cell_of(1)}},
        quality={7: {"accepted": 5, "late": 1}},
    )
    assert outcome is Outcome.APPLIED
    snapshot = store.read()
    assert snapshot.positions == {CLICKS_0: Position.decode(new), SALES_0: Position.decode(at(2, 7))}
    assert snapshot.vector == {CLICKS_0: 3, SALES_0: 2}
    assert snapshot.cells == {
        (7, 100): {CellKey(100, *ALL): cell_of(3, 2, 5, 900), CellKey(100, "country", "DE"): cell_of(1)}
    }
    assert snapshot.totals == {ALL: cell_of(3, 2, 5, 900), ("country", "DE"): cell_of(1)}
    assert snapshot.quality == {7: {"accepted": 5, "late": 1}}
    assert snapshot.counters == {"accepted": 5, "late": 1}
    assert store.run(store.sink.positions([CLICKS_0, CLICKS_1])) == {CLICKS_0: new, CLICKS_1: None}
    assert store.run(store.sink.all_positions()) == {CLICKS_0: new, SALES_0: at(2, 7)}


def test_steps_add_to_what_is_there(store: Store) -> None:
    store.apply(first(), cells={(1, 5): {ALL: cell_of(1)}}, quality={1: {"accepted": 1}})
    store.apply(
        Move(CLICKS_0, at(1), at(2)),
        cells={(1, 5): {ALL: cell_of(2)}, (2, 5): {ALL: cell_of(4)}},
        quality={1: {"accepted": 2}, 2: {"late": 3}},
    )
    snapshot = store.read()
    assert snapshot.cells == {(1, 5): {CellKey(5, *ALL): cell_of(3)}, (2, 5): {CellKey(5, *ALL): cell_of(4)}}
    assert snapshot.merged() == {CellKey(5, *ALL): cell_of(7)}
    assert snapshot.counters == {"accepted": 3, "late": 3}


def test_the_same_step_again_is_known_and_adds_nothing(store: Store) -> None:
    step: dict[str, Any] = {"cells": {(1, 5): {ALL: cell_of(1)}}, "quality": {1: {"accepted": 1}}}
    assert store.apply(first(), **step) is Outcome.APPLIED
    before = store.read()
    assert store.apply(first(), **step) is Outcome.ALREADY
    assert store.read() == before


@pytest.mark.parametrize("old", ["", at(1, 9), at(2), "garbage"])
def test_a_step_from_another_position_is_a_conflict_and_changes_nothing(store: Store, old: str) -> None:
    store.apply(first(), cells={(1, 5): {ALL: cell_of(1)}})
    before = store.read()
    assert store.apply(Move(CLICKS_0, old, at(3)), cells={(1, 5): {ALL: cell_of(1)}}, floor=1) is Outcome.CONFLICT
    assert store.read() == before


def test_a_step_on_a_view_that_was_emptied_is_a_conflict(store: Store) -> None:
    assert store.apply(Move(CLICKS_0, at(1), at(2)), cells={(1, 5): {ALL: cell_of(1)}}) is Outcome.CONFLICT
    assert store.read() == Snapshot({}, 0, {}, {}, {}, {})


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_step_of_which_one_partition_has_moved_on_is_a_conflict_as_a_whole(
    store: Store, order: tuple[int, int]
) -> None:
    store.apply(first(CLICKS_0), first(CLICKS_1))
    store.apply(Move(CLICKS_0, at(1), at(5)))
    before = store.read()
    moves = [Move(CLICKS_0, at(1), at(2)), Move(CLICKS_1, at(1), at(2))]
    assert store.apply(*(moves[i] for i in order), cells={(1, 5): {ALL: cell_of(1)}}) is Outcome.CONFLICT
    assert store.read() == before


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_step_of_which_one_partition_is_there_already_is_a_conflict_as_a_whole(
    store: Store, order: tuple[int, int]
) -> None:
    store.apply(first(CLICKS_0), first(CLICKS_1))
    store.apply(Move(CLICKS_0, at(1), at(2)))
    before = store.read()
    moves = [Move(CLICKS_0, at(1), at(2)), Move(CLICKS_1, at(1), at(2))]
    assert store.apply(*(moves[i] for i in order), cells={(1, 5): {ALL: cell_of(1)}}) is Outcome.CONFLICT
    assert store.read() == before


def test_views_of_other_namespaces_are_apart(make: Callable[[], Store]) -> None:
    one, other = make(), make()
    one.apply(first(), cells={(1, 5): {ALL: cell_of(1)}}, floor=1)
    assert other.read() == Snapshot({}, 0, {}, {}, {}, {})
    one.close()
    other.close()


# --- the floor -----------------------------------------------------------------------------------


def test_raising_the_floor_drops_the_epochs_below_it(store: Store) -> None:
    store.apply(
        first(),
        cells={(e, 5): {ALL: cell_of(1)} for e in range(5)},
        users={(e, 5): [f"u{e}"] for e in range(5)},
        quality={e: {"accepted": 1} for e in range(5)},
    )
    store.apply(Move(CLICKS_0, at(1), at(2)), floor=3)
    snapshot = store.read()
    assert snapshot.floor == 3
    assert set(snapshot.cells) == {(3, 5), (4, 5)}
    assert set(snapshot.quality) == {3, 4}
    assert snapshot.totals == {ALL: cell_of(2)}
    assert snapshot.counters == {"accepted": 2}
    reader = store.reader()
    reader.read()
    assert reader.distinct_users([5]) == 2


def test_the_floor_is_never_lowered(store: Store) -> None:
    store.apply(first(), floor=3)
    store.apply(Move(CLICKS_0, at(1), at(2)), floor=1, cells={(2, 5): {ALL: cell_of(1)}})
    snapshot = store.read()
    assert (snapshot.floor, snapshot.cells) == (3, {})


def test_cells_of_epochs_below_the_floor_are_skipped_and_the_position_moves(store: Store) -> None:
    store.apply(
        first(),
        floor=3,
        cells={(2, 5): {ALL: cell_of(1)}, (3, 5): {ALL: cell_of(10)}},
        users={(2, 5): ["old"], (3, 5): ["new"]},
        quality={2: {"accepted": 1}, 3: {"accepted": 10}},
    )
    snapshot = store.read()
    assert snapshot.cells == {(3, 5): {CellKey(5, *ALL): cell_of(10)}}
    assert snapshot.counters == {"accepted": 10}
    assert snapshot.vector == {CLICKS_0: 1}


# --- numbers and values --------------------------------------------------------------------------


def test_what_batch_views_cover_expires_and_is_not_written_again(store: Store) -> None:
    cells = {(epoch, minute): {ALL: cell_of(1)} for epoch in range(1, 6) for minute in range(100)}
    store.apply(first(), cells=cells, quality={1: {"accepted": 7}, 5: {"accepted": 8}})
    store.floor.raise_floor(5)
    store.apply(Move(CLICKS_0, at(1), at(2)), cells={(4, 5): {ALL: cell_of(1)}})
    snapshot = store.read()
    assert snapshot.floor == 5
    assert snapshot.totals == {ALL: cell_of(100)}
    assert snapshot.counters == {"accepted": 8}
    store.floor.raise_floor(3)
    assert store.read().floor == 5


def test_a_reader_leaves_out_epochs_that_another_view_covers_and_takes_them_in_again(store: Store) -> None:
    store.apply(
        first(),
        cells={(1, 5): {ALL: cell_of(1)}, (2, 5): {ALL: cell_of(10)}, (3, 6): {ALL: cell_of(100)}},
        users={(1, 5): ["a"], (2, 5): ["b"], (3, 6): ["c"]},
        quality={1: {"late": 1}, 3: {"late": 2}},
    )
    reader = store.reader()
    seen = [reader.read(since) for since in (2, 3, 0, 2)]
    assert [snapshot.totals[ALL][0] for snapshot in seen] == [110, 100, 111, 110]
    assert [snapshot.floor for snapshot in seen] == [2, 3, 0, 2]
    assert [snapshot.counters for snapshot in seen] == [{"late": n} for n in (2, 2, 3, 2)]
    assert reader.distinct_users([5]) == 1
    store.apply(Move(CLICKS_0, at(1), at(2)), cells={(1, 5): {ALL: cell_of(1)}})
    assert reader.read(2).totals == {ALL: cell_of(110)}
    reader.close()


def test_users_of_a_batch_view_and_of_the_sketch_are_counted_together(store: Store) -> None:
    store.apply(first(), cells={(1, 5): {ALL: cell_of(1)}}, users={(1, 5): ["a", "b"]})
    reader = store.reader()
    reader.read()
    assert reader.users_sketch([5], ["b", "c"]) == 3
    assert reader.users_sketch([6], ["b", "c"]) == 2
    assert reader.users_sketch([6]) == 0
    assert reader.distinct_users([5]) == 2
    reader.close()


@pytest.mark.parametrize("cents", [2**53 - 1, 2**53, 2**53 + 1, 2**62])
def test_revenue_is_exact_beyond_what_a_float_holds(store: Store, cents: int) -> None:
    store.apply(first(), cells={(1, 5): {ALL: cell_of(revenue_cents=cents)}})
    store.apply(Move(CLICKS_0, at(1), at(2)), cells={(1, 5): {ALL: cell_of(1, 1, 1, 1)}})
    assert store.read().totals == {ALL: cell_of(1, 1, 1, cents + 1)}


def test_large_sums_of_many_epochs_are_exact(store: Store) -> None:
    store.apply(first(), cells={(e, 5): {ALL: cell_of(revenue_cents=2**62 + e)} for e in range(8)})
    assert store.read().totals == {ALL: cell_of(revenue_cents=8 * 2**62 + 28)}


def test_any_value_of_a_dimension_comes_back_as_it_was(store: Store) -> None:
    part = {(d, v): cell_of(i + 1, i, i, i) for d in DIMENSIONS for i, v in enumerate(ODD) if d != "all"}
    store.apply(first(), cells={(1, 5): part}, users={(1, 5): ODD})
    snapshot = store.read()
    assert snapshot.cells == {(1, 5): {CellKey(5, *where): cell for where, cell in part.items()}}
    assert dict(snapshot.totals) == part
    reader = store.reader()
    reader.read()
    assert reader.distinct_users([5]) == len(ODD)


@pytest.mark.parametrize("minute", [0, -1, 15_778_080, 4_223_371_679])
def test_any_minute_comes_back_as_it_was(store: Store, minute: int) -> None:
    store.apply(first(), cells={(1, minute): {ALL: cell_of(1)}})
    assert store.read().merged() == {CellKey(minute, *ALL): cell_of(1)}


def test_more_cells_than_a_script_takes_arguments(store: Store) -> None:
    part = {("campaign", f"c{n}"): cell_of(n + 1) for n in range(10_000)}
    store.apply(first(), cells={(1, 5): part}, users={(1, 5): [f"u{n}" for n in range(10_000)]})
    assert dict(store.read().totals) == part


# --- distinct users ------------------------------------------------------------------------------


def test_few_distinct_users_are_exact(store: Store) -> None:
    store.apply(first(), cells={}, users={(1, 5): ["a", "b"], (2, 5): ["b", "c"], (1, 6): ["d"], (1, 7): ["e"]})
    reader = store.reader()
    reader.read()
    assert reader.distinct_users([5]) == 3
    assert reader.distinct_users([5, 6]) == 4
    assert reader.distinct_users([8]) == 0
    assert reader.distinct_users([]) == 0


@pytest.mark.parametrize("count", [1_000, 60_000])
def test_many_distinct_users_are_estimated_within_three_percent(store: Store, count: int) -> None:
    for part in range(3):
        users = {(part, 5): [f"user-{n}" for n in range(part * count // 6, count)]}
        store.apply(Move(CLICKS_0, at(part) if part else "", at(part + 1)), users=users)
    reader = store.reader()
    reader.read()
    assert reader.distinct_users([5]) == pytest.approx(count, rel=0.03)


# --- what a view is bound to ---------------------------------------------------------------------


def test_beginning_again_under_the_same_rules_is_fine(store: Store) -> None:
    rules = Rules(epoch_ms=10_000, horizon=2)
    for keep in (0, 5):
        store.run(store.sink.begin(Rules(10_000, 2, 60_000, keep), "log-1"))
    assert store.reader().rules() == rules


@pytest.mark.parametrize("rules", [Rules(20_000), Rules(horizon=2), Rules(lateness_ms=1)])
def test_a_view_is_not_continued_under_other_rules(store: Store, rules: Rules) -> None:
    store.run(store.sink.begin(Rules(), "log-1"))
    with pytest.raises(ConfigurationError, match=r"was begun with .* the settings now say .* FOURFOLD_NAMESPACE"):
        store.run(store.sink.begin(rules, "log-1"))
    assert store.reader().rules() == Rules()


def test_a_view_is_not_continued_on_another_log(store: Store) -> None:
    store.run(store.sink.begin(Rules(), "log-1"))
    with pytest.raises(ConfigurationError, match=r"counts a log that is gone .* FOURFOLD_NAMESPACE"):
        store.run(store.sink.begin(Rules(), "log-2"))
    store.run(store.sink.begin(Rules(), "log-1"))


# --- what a store may lose -----------------------------------------------------------------------

#: The keys of a view that `begun` has filled.
KEYS = ["meta", "positions", "epochs", "changed", "cells:1:5", "cells:1:q", "cells:2:6", "users:1:5", "users:2:6"]


def begun(store: Store) -> None:
    store.run(store.sink.begin(Rules(), "log-1"))
    store.apply(
        first(),
        first(SALES_0),
        cells={(1, 5): {ALL: cell_of(1)}, (2, 6): {ALL: cell_of(2)}},
        users={(1, 5): ["a"], (2, 6): ["b"]},
        quality={1: {"accepted": 3}},
    )


def counted_again(store: Store) -> None:
    """A worker restores, and counts from the log's start."""
    store.run(store.sink.begin(Rules(), "log-1"))
    assert store.run(store.sink.positions([CLICKS_0, SALES_0])) == {CLICKS_0: None, SALES_0: None}
    assert store.apply(first(), cells={(1, 5): {ALL: cell_of(5)}}, users={(1, 5): ["c"]}) is Outcome.APPLIED


@pytest.mark.parametrize("key", KEYS)
def test_a_view_that_lost_a_part_is_noticed_refused_and_begun_again(store: Store, key: str) -> None:
    begun(store)
    assert store.run(store.sink.check()) is None
    store.lose(key)
    assert key.split(":", 1)[0] in store.run(store.sink.check())
    with pytest.raises(UnavailableError, match="lost a key of the view"):
        store.read()
    late = Move(SALES_0, at(1), at(2))
    assert store.apply(late, cells={(1, 5): {ALL: cell_of(1)}}) is Outcome.CONFLICT
    counted_again(store)
    assert store.run(store.sink.check()) is None
    assert store.apply(late, cells={(1, 5): {ALL: cell_of(1)}}) is Outcome.CONFLICT
    snapshot = store.read()
    assert snapshot.cells == {(1, 5): {CellKey(5, *ALL): cell_of(5)}}
    assert snapshot.vector == {CLICKS_0: 1}
    reader = store.reader()
    reader.read()
    assert reader.distinct_users([5, 6]) == 1


def test_a_view_that_was_emptied_is_noticed_by_who_has_begun_it(store: Store) -> None:
    begun(store)
    store.flush()
    assert "emptied" in store.run(store.sink.check())
    counted_again(store)
    assert store.run(store.sink.check()) is None


def test_a_view_that_lost_a_part_is_not_begun_again_under_other_rules(store: Store) -> None:
    begun(store)
    store.lose("positions")
    with pytest.raises(ConfigurationError, match="was begun with"):
        store.run(store.sink.begin(Rules(20_000), "log-1"))
    with pytest.raises(UnavailableError):
        store.read()


def test_a_view_whose_epochs_expire_has_lost_nothing(store: Store) -> None:
    begun(store)
    store.floor.raise_floor(2)
    assert store.run(store.sink.check()) is None
    store.apply(Move(CLICKS_0, at(1), at(2)), floor=3)
    assert store.run(store.sink.check()) is None
    assert store.read().cells == {}
    assert store.apply(Move(CLICKS_0, at(2), at(3)), cells={(3, 7): {ALL: cell_of(1)}}) is Outcome.APPLIED
    assert store.run(store.sink.check()) is None


# --- steps that cannot be taken ------------------------------------------------------------------


@pytest.mark.parametrize("size", [2**63 - 1, 2**63, 2**70])
def test_a_sum_beyond_64_bits_is_refused_and_nothing_of_the_step_is_added(store: Store, size: int) -> None:
    begun(store)
    before = store.read()
    step: dict[str, Any] = {
        "cells": {
            (1, 5): {ALL: cell_of(7), ("country", "DE"): cell_of(1)},
            (2, 6): {("campaign", "x"): cell_of(1), ALL: cell_of(2, revenue_cents=1)},
            (3, 7): {ALL: cell_of(1), ("product", "pot"): cell_of(revenue_cents=size)},
        },
        "users": {(3, 7): ["new"]},
        "quality": {3: {"accepted": 1}},
    }
    if size == 2**63 - 1:
        store.apply(Move(CLICKS_0, at(1), at(2)), **step)
        before = store.read()
    at_now, at_next = (at(2), at(3)) if size == 2**63 - 1 else (at(1), at(2))
    for _ in range(2):
        with pytest.raises(RefusedError, match="64 bits"):
            store.apply(Move(CLICKS_0, at_now, at_next), **step)
    assert store.read() == before
    assert store.run(store.sink.check()) is None
    # what can be added still is
    assert store.apply(Move(CLICKS_0, at_now, at_next), cells={(1, 5): {ALL: cell_of(1)}}) is Outcome.APPLIED
    assert store.read().totals[ALL][0] == before.totals[ALL][0] + 1


# --- readers -------------------------------------------------------------------------------------


def test_a_snapshot_is_not_changed_by_what_comes_later(store: Store) -> None:
    reader = store.reader()
    store.apply(first(), cells={(1, 5): {ALL: cell_of(1)}}, quality={1: {"accepted": 1}})
    old = reader.read()
    same = store.read()
    store.apply(Move(CLICKS_0, at(1), at(2)), cells={(1, 5): {ALL: cell_of(1)}}, quality={1: {"accepted": 1}}, floor=1)
    reader.read()
    assert old == same


def test_a_reader_sees_that_the_store_was_emptied(store: Store) -> None:
    reader = store.reader()
    store.apply(first(), cells={(1, 5): {ALL: cell_of(1)}}, users={(1, 5): ["a"]})
    reader.read()
    store.flush()
    assert reader.read() == Snapshot({}, 0, {}, {}, {}, {})
    assert reader.distinct_users([5]) == 0


def test_a_reader_sees_that_the_store_was_emptied_and_filled_again_in_between(store: Store) -> None:
    reader = store.reader()
    store.apply(
        first(),
        cells={(1, 5): {ALL: cell_of(1), ("country", "DE"): cell_of(1)}, (2, 6): {ALL: cell_of(7)}},
        quality={1: {"accepted": 1, "late": 1}, 2: {"accepted": 7}},
    )
    reader.read()
    store.flush()
    store.apply(first(SALES_0), cells={(1, 5): {ALL: cell_of(3)}}, quality={1: {"accepted": 3}})
    snapshot = reader.read()
    assert snapshot == store.read()
    assert snapshot.totals == {ALL: cell_of(3)}
    assert snapshot.counters == {"accepted": 3}


class Change(NamedTuple):
    """Something that happens to a store between reads."""

    kind: str
    source: PartitionKey
    by: int
    epoch: int
    minute: int
    value: str
    cell: Cell
    floor: int


CHANGES = st.builds(
    Change,
    kind=st.sampled_from(["apply"] * 8 + ["again", "conflict", "flush", "read", "read"]),
    source=st.sampled_from([CLICKS_0, CLICKS_1, SALES_0]),
    by=st.integers(1, 5),
    epoch=st.integers(0, 6),
    minute=st.integers(0, 3),
    value=st.sampled_from(["a", "b", "|", "ü"]),
    cell=st.builds(
        cell_of, st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.sampled_from([0, 1, 2**53 + 1])
    ),
    floor=st.sampled_from([0, 0, 0, 1, 3, 5]),
)


def carry_out(change: Change, store: Store, positions: dict[PartitionKey, str]) -> Outcome | None:
    if change.kind == "flush":
        store.flush()
        return None
    old = positions.get(change.source, "")
    new = at((Position.decode(old).next if old else 0) + change.by, change.epoch)
    if change.kind == "again" and old:
        old, new = "whatever it was", old
    elif change.kind == "conflict":
        old = at(999)
    return store.apply(
        Move(change.source, old, new),
        floor=change.floor,
        cells={(change.epoch, change.minute): {ALL: change.cell, ("campaign", change.value): change.cell}},
        users={(change.epoch, change.minute): [change.value]},
        quality={change.epoch: {"accepted": change.by}},
    )


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(changes=st.lists(CHANGES, min_size=2, max_size=25))
def test_a_reader_that_takes_changes_only_sees_what_a_new_one_sees(
    make: Callable[[], Store], changes: list[Change]
) -> None:
    store, twin = make(), in_memory()
    reader = store.reader()
    for change in changes:
        positions = twin.run(twin.sink.all_positions())
        assert carry_out(change, store, positions) == carry_out(change, twin, positions)
        if change.kind == "read":
            seen = reader.read()
            assert seen == store.read()
            assert filled(seen) == filled(twin.read())
            assert reader.distinct_users(range(4)) == twin.reader().distinct_users(range(4))
    assert reader.read() == store.read()
    reader.close()
    store.close()
    twin.close()


def filled(snapshot: Snapshot) -> Snapshot:
    """Without places and cells that hold zeros only: a store need not keep them."""
    cells = {p: {k: c for k, c in part.items() if any(c)} for p, part in snapshot.cells.items()}
    return Snapshot(
        snapshot.positions,
        snapshot.floor,
        {place: part for place, part in cells.items() if part},
        snapshot.quality,
        snapshot.totals,
        snapshot.counters,
    )


# --- Redis alone ---------------------------------------------------------------------------------


class Interrupted:
    """A client of Redis; before each pipeline of a reader something happens to the store."""

    def __init__(self, client: Redis, happens: Callable[[int], None]) -> None:
        self._client = client
        self._happens = happens
        self.pipelines = 0

    def pipeline(self, **options: Any) -> Any:
        self._happens(self.pipelines)
        self.pipelines += 1
        return self._client.pipeline(**options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


@pytest.fixture
def redis_store(servers: Any) -> Iterator[Store]:
    store = in_redis(servers.redis)
    yield store
    store.close()


@pytest.mark.integration
@pytest.mark.versions
def test_the_keys_are_those_that_the_documents_describe(servers: Any, redis_store: Store) -> None:
    text = Path("docs/redis-keys.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `\{(\w+)[^}]*\}(\S+)` \| ([\w ]+) \|", text, re.MULTILINE)
    kinds = {"hash": "hash", "sorted set": "zset", "HyperLogLog": "string", "string": "string"}
    documented = [(re.sub(r"EPOCH|MINUTE", r"\\d+", end), kinds[kind]) for _, end, kind in rows]
    redis_store.run(redis_store.sink.begin(Rules(), "log"))
    redis_store.apply(first(), cells={(1, 2): {ALL: cell_of(1)}}, quality={1: {"accepted": 1}})
    sink = redis_store.sink
    assert isinstance(sink, RedisSink)
    with Redis.from_url(servers.redis) as client:
        keys = [key.decode() for key in client.scan_iter(f"{sink._tag}*")]
        found = {key.removeprefix(sink._tag): client.type(key).decode() for key in keys}
        fields = set(client.hkeys(f"{sink._tag}:cells:1:2"))
        positions = client.hvals(f"{sink._tag}:positions")
    assert {":meta", ":positions", ":epochs", ":changed", ":cells:1:2", ":cells:1:q", ":users:1:2"} <= found.keys()
    for key, kind in found.items():
        assert any(re.fullmatch(end, key) and kind == said for end, said in documented), (key, kind)
    assert fields == {b"ac:", b"#"}
    assert len(positions[0].split(b",")) == text.count("eleven integers") * 11


HASHES = 900


def fill(store: Store) -> None:
    cells = {(e, m): {ALL: cell_of(e + m)} for e in range(1, 4) for m in range(HASHES // 3)}
    store.apply(first(), cells=cells, quality={1: {"accepted": 1}})


@contextmanager
def interrupted_reader(store: Store, happens: Callable[[int], None]) -> Iterator[RedisReader]:
    reader = store.reader()
    assert isinstance(reader, RedisReader)
    client = Interrupted(reader._client, happens)
    reader._client = client
    yield reader
    assert client.pipelines >= 4
    reader.close()


@pytest.mark.integration
def test_a_new_reader_of_many_hashes_misses_nothing_that_is_written_meanwhile(redis_store: Store) -> None:
    fill(redis_store)

    def write(number: int) -> None:
        cells = {(1, 0): {ALL: cell_of(1)}, (3, 299): {ALL: cell_of(1)}, (4, 1000 + number): {ALL: cell_of(1)}}
        redis_store.apply(Move(CLICKS_0, at(number + 1), at(number + 2)), cells=cells)

    with interrupted_reader(redis_store, write) as reader:
        assert reader.read() == redis_store.read()


@pytest.mark.integration
def test_a_new_reader_of_many_hashes_sees_what_expires_meanwhile(redis_store: Store) -> None:
    fill(redis_store)

    def expire(number: int) -> None:
        redis_store.apply(Move(CLICKS_0, at(number + 1), at(number + 2)), floor=2 + number // 3)

    with interrupted_reader(redis_store, expire) as reader:
        assert reader.read() == redis_store.read()
        assert {epoch for epoch, _ in reader.read().cells} == {3}


@pytest.mark.integration
@pytest.mark.parametrize("refill", [False, True])
def test_a_new_reader_of_many_hashes_sees_that_the_store_is_emptied_meanwhile(redis_store: Store, refill: bool) -> None:
    fill(redis_store)

    def empty(number: int) -> None:
        if number == 2:
            redis_store.flush()
            if refill:
                redis_store.apply(first(SALES_0), cells={(1, 0): {ALL: cell_of(5)}})

    with interrupted_reader(redis_store, empty) as reader:
        snapshot = reader.read()
    assert snapshot == redis_store.read()
    assert snapshot.totals == ({ALL: cell_of(5)} if refill else {})


@pytest.mark.integration
def test_expired_epochs_leave_nothing_behind_in_redis(redis_store: Store, servers: Any) -> None:
    fill(redis_store)
    sink = redis_store.sink
    assert isinstance(sink, RedisSink)
    client = Redis.from_url(servers.redis)
    assert len(list(client.scan_iter(f"{sink._tag}:cells:*", count=1000))) == HASHES + 1
    for number in range(1, 8):
        redis_store.apply(Move(CLICKS_0, at(number), at(number + 1)), floor=4)
    assert list(client.scan_iter(f"{sink._tag}:cells:*", count=1000)) == []
    assert client.zcard(f"{sink._tag}:epochs") == client.zcard(f"{sink._tag}:changed") == 0
    client.close()


@pytest.mark.integration
def test_all_keys_of_a_view_share_one_slot_of_a_cluster(redis_store: Store, servers: Any) -> None:
    redis_store.run(redis_store.sink.begin(Rules(), "log"))
    redis_store.apply(
        first(), cells={(1, 5): {ALL: cell_of(1)}}, users={(1, 5): ["a"]}, quality={1: {"late": 1}}, floor=1
    )
    client = Redis.from_url(servers.redis)
    sink = redis_store.sink
    assert isinstance(sink, RedisSink)
    keys = [key.decode() for key in client.scan_iter("*", count=1000)]
    mine = [key for key in keys if sink._tag.strip("{}") in key]
    assert len(mine) == 7
    assert all(key.startswith(f"{sink._tag}:") for key in mine)
    client.close()


@pytest.mark.integration
@pytest.mark.parametrize("key", KEYS)
def test_a_reader_that_knows_the_view_never_shows_too_little(redis_store: Store, key: str) -> None:
    begun(redis_store)
    reader = redis_store.reader()
    before = reader.read()
    redis_store.lose(key)
    with suppress(UnavailableError):
        assert reader.read() == before
    redis_store.apply(Move(CLICKS_0, at(1), at(2)), cells={(1, 5): {ALL: cell_of(1)}, (2, 6): {ALL: cell_of(1)}})
    redis_store.run(redis_store.sink.check())
    with pytest.raises(UnavailableError):
        reader.read()
    counted_again(redis_store)
    assert reader.read().totals == {ALL: cell_of(5)}
    assert "counted again" in " ".join(reader.read().states)
    reader.close()


@pytest.mark.integration
def test_a_worker_that_knows_the_view_before_a_loss_is_fenced_off(redis_store: Store, servers: Any) -> None:
    begun(redis_store)
    sink = redis_store.sink
    assert isinstance(sink, RedisSink)
    other = RedisSink(AsyncRedis.from_url(servers.redis), sink._tag.strip("{}"), SHOP)
    redis_store.run(other.begin(Rules(), "log-1"))
    redis_store.lose("cells:1:5")
    redis_store.run(sink.check())
    counted_again(redis_store)
    # even where its partition stands at the very same position
    late = Step([Move(CLICKS_0, at(1), at(2))], delta_of({(1, 5): {ALL: cell_of(1)}}))
    assert redis_store.run(other.apply(late)) is Outcome.CONFLICT
    assert "begun again" in redis_store.run(other.check())
    redis_store.run(other.begin(Rules(), "log-1"))
    assert redis_store.run(other.check()) is None
    assert redis_store.run(other.apply(late)) is Outcome.APPLIED
    redis_store.run(other.close())


@pytest.mark.integration
def test_a_lost_sketch_is_no_small_number(redis_store: Store) -> None:
    begun(redis_store)
    reader = redis_store.reader()
    reader.read()
    assert (reader.distinct_users([5, 6]), reader.users_sketch([5, 6], ["a", "z"])) == (2, 3)
    redis_store.lose("users:1:5")
    for ask in (lambda: reader.distinct_users([5, 6]), lambda: reader.users_sketch([5], ["z"])):
        with pytest.raises(UnavailableError, match="lost a key"):
            ask()
    assert reader.distinct_users([6]) == 1


@pytest.mark.integration
def test_sketches_that_expire_after_a_read_are_no_loss(redis_store: Store) -> None:
    begun(redis_store)
    reader = redis_store.reader()
    reader.read()
    redis_store.floor.raise_floor(2)
    assert reader.distinct_users([5, 6]) == 1


@pytest.mark.integration
def test_what_is_left_of_a_view_is_never_added_to_and_is_swept(redis_store: Store, servers: Any) -> None:
    begun(redis_store)
    for key in ("meta", "positions", "epochs", "changed"):
        redis_store.lose(key)
    # hashes and sketches are left, and nothing that says so
    counted_again(redis_store)
    assert redis_store.read().totals == {ALL: cell_of(5)}
    assert redis_store.run(redis_store.sink.check()) is None
    sink = redis_store.sink
    assert isinstance(sink, RedisSink)
    with Redis.from_url(servers.redis) as client:
        left = {key.decode().split(":", 1)[1] for key in client.scan_iter(f"{sink._tag}:*", count=1000)}
    assert left == {"meta", "positions", "epochs", "changed", "cells:1:5", "users:1:5"}


@pytest.mark.integration
@pytest.mark.parametrize("field", ["zz:hello", "", b"\xff", "ac:other"])
def test_a_field_that_somebody_adds_makes_the_view_begin_again(
    redis_store: Store, servers: Any, field: str | bytes
) -> None:
    begun(redis_store)
    sink = redis_store.sink
    assert isinstance(sink, RedisSink)
    with Redis.from_url(servers.redis) as client:
        client.hset(f"{sink._tag}:cells:1:5", field, "1")
    with pytest.raises(UnavailableError, match="lost a key of the view"):
        redis_store.read()
    assert "cells:1:5" in redis_store.run(sink.check())
    counted_again(redis_store)
    assert redis_store.read().totals == {ALL: cell_of(5)}


@pytest.mark.integration
@pytest.mark.parametrize("key", ["cells:1:5", "cells:1:q"])
def test_a_field_that_vanishes_is_noticed_by_reader_worker_and_step(redis_store: Store, servers: Any, key: str) -> None:
    sink = redis_store.sink
    assert isinstance(sink, RedisSink)
    name = f"{sink._tag}:{key}"
    with Redis.from_url(servers.redis) as client:
        for notice in ("reader", "worker", "step"):
            begun(redis_store)
            moved = Move(CLICKS_0, at(1), at(2))
            assert (
                redis_store.apply(moved, cells={(1, 5): {ALL: cell_of(1), ("campaign", "x"): cell_of(1)}})
                is Outcome.APPLIED
            )
            assert redis_store.run(sink.check()) is None
            field = next(field for field in client.hkeys(name) if field != b"#")
            client.hdel(name, field)
            if notice == "reader":
                with pytest.raises(UnavailableError, match="lost a key of the view"):
                    redis_store.read()
            if notice == "step":
                more = Move(CLICKS_0, at(2), at(3))
                step = {"cells": {(1, 5): {ALL: cell_of(1)}}, "quality": {1: {"accepted": 1}}}
                assert redis_store.apply(more, **step) is Outcome.CONFLICT  # type: ignore[arg-type]
            assert key in redis_store.run(sink.check())
            counted_again(redis_store)
            assert redis_store.read().totals == {ALL: cell_of(5)}
            redis_store.flush()


@pytest.mark.integration
@pytest.mark.parametrize(
    ("key", "field", "value"),
    [
        ("cells:1:5", "ac:", "abc"),
        ("cells:1:5", "ac:", "1.5"),
        ("cells:1:q", "accepted", ""),
    ],
)
def test_a_field_of_another_hand_is_named_to_readers(
    redis_store: Store, servers: Any, key: str, field: str, value: str
) -> None:
    begun(redis_store)
    sink = redis_store.sink
    assert isinstance(sink, RedisSink)
    with Redis.from_url(servers.redis) as client:
        client.hset(f"{sink._tag}:{key}", field, value)
        with pytest.raises(ConfigurationError, match=re.escape(f"redis-cli DEL '{sink._tag}:{key}'")):
            redis_store.read()
        # as the remedy says
        client.delete(f"{sink._tag}:{key}")
    assert key in redis_store.run(sink.check())
    counted_again(redis_store)
    assert redis_store.read().totals == {ALL: cell_of(5)}


@pytest.mark.integration
def test_a_position_of_another_hand_makes_the_view_begin_again_though_nothing_arrives(
    redis_store: Store, servers: Any
) -> None:
    begun(redis_store)
    sink = redis_store.sink
    assert isinstance(sink, RedisSink)
    with Redis.from_url(servers.redis) as client:
        client.hset(f"{sink._tag}:positions", str(SALES_0), "x")
    # a worker's watch asks for all of them
    with pytest.raises(UnavailableError, match="cannot be read"):
        redis_store.run(sink.all_positions())
    assert "positions" in redis_store.run(sink.check())
    counted_again(redis_store)


@pytest.mark.integration
@pytest.mark.parametrize("field", ["born", "floor", "change", "positions", "parts", "rules", "log"])
def test_an_account_that_lost_a_part_is_no_account(redis_store: Store, servers: Any, field: str) -> None:
    begun(redis_store)
    redis_store.floor.raise_floor(1)
    sink = redis_store.sink
    assert isinstance(sink, RedisSink)
    with Redis.from_url(servers.redis) as client:
        client.hdel(f"{sink._tag}:meta", field)
    if field not in ("rules", "log"):
        assert redis_store.run(sink.check()) is not None
    counted_again(redis_store)
    assert redis_store.read().totals == {ALL: cell_of(5)}


def spoil(client: Redis, key: str) -> None:
    client.delete(key)
    client.rpush(key, "a list")


@pytest.mark.integration
@pytest.mark.parametrize("key", KEYS)
def test_a_key_of_another_type_is_named_and_nothing_is_added(redis_store: Store, servers: Any, key: str) -> None:
    begun(redis_store)
    sink = redis_store.sink
    assert isinstance(sink, RedisSink)
    name = f"{sink._tag}:{key}"
    cells = {(e, m): {ALL: cell_of(9)} for e, m in [(2, 6), (1, 5), (3, 9)]}
    quality = {1: {"accepted": 1}, 2: {"accepted": 1}}
    with Redis.from_url(servers.redis) as client:
        before = {n: client.hgetall(f"{sink._tag}:{n}") for n in KEYS if n.startswith(("cells", "pos")) and n != key}
        spoil(client, name)
        with pytest.raises(ConfigurationError, match=re.escape(name)) as said:
            redis_store.apply(Move(CLICKS_0, at(1), at(2)), cells=cells, quality=quality)
        assert "redis-cli DEL" in str(said.value)
        assert before == {n: client.hgetall(f"{sink._tag}:{n}") for n in before}
        assert not client.exists(f"{sink._tag}:cells:3:9")
        # as the remedy says
        client.delete(name)
    assert key in redis_store.run(sink.check())
    counted_again(redis_store)
    assert redis_store.read().totals == {ALL: cell_of(5)}


@pytest.mark.integration
def test_a_sketch_that_is_none_is_named_and_nothing_is_added(redis_store: Store, servers: Any) -> None:
    begun(redis_store)
    before = redis_store.read()
    sink = redis_store.sink
    assert isinstance(sink, RedisSink)
    with Redis.from_url(servers.redis) as client:
        client.set(f"{sink._tag}:users:2:6", "no sketch")
    with pytest.raises(ConfigurationError, match="users:2:6"):
        redis_store.apply(
            Move(CLICKS_0, at(1), at(2)),
            cells={(1, 5): {ALL: cell_of(9)}, (2, 6): {ALL: cell_of(9)}},
            users={(2, 6): ["x"]},
        )
    assert redis_store.read() == before


@pytest.mark.integration
def test_a_counter_beyond_64_bits_is_refused_by_name(redis_store: Store) -> None:
    begun(redis_store)
    redis_store.apply(Move(CLICKS_0, at(1), at(2)), quality={1: {"late": 2**63 - 1}})
    before = redis_store.read()
    with pytest.raises(RefusedError, match="the counter 'late' of epoch 1"):
        redis_store.apply(Move(CLICKS_0, at(2), at(3)), quality={1: {"accepted": 1, "late": 1}})
    with pytest.raises(RefusedError, match=r"the cell 1970-01-01T00:05 product 'pot', revenue_cents"):
        redis_store.apply(Move(CLICKS_0, at(2), at(3)), cells={(1, 5): {("product", "pot"): cell_of(1, 1, 1, 2**64)}})
    assert redis_store.read() == before


@pytest.mark.integration
@pytest.mark.parametrize("epoch", [2**53, -(2**53), 2**63])
def test_an_epoch_that_a_script_would_round_is_refused(redis_store: Store, epoch: int) -> None:
    with pytest.raises(RefusedError, match="which no store holds exactly"):
        redis_store.apply(first(), cells={(epoch, 5): {ALL: cell_of(1)}})


@pytest.mark.integration
def test_a_change_number_that_a_script_would_round_is_refused(redis_store: Store, servers: Any) -> None:
    begun(redis_store)
    sink = redis_store.sink
    assert isinstance(sink, RedisSink)
    with Redis.from_url(servers.redis) as client:
        client.hset(f"{sink._tag}:meta", "change", 2**53 - 1)
        with pytest.raises(RefusedError, match="change"):
            redis_store.apply(Move(CLICKS_0, at(1), at(2)), cells={(1, 5): {ALL: cell_of(1)}})


@pytest.mark.integration
def test_a_full_redis_takes_nothing_of_a_step_and_all_of_it_later(redis_store: Store, servers: Any) -> None:
    begun(redis_store)
    before = redis_store.read()
    step = Move(CLICKS_0, at(1), at(2)), {(1, 5): {ALL: cell_of(1)}}
    with Redis.from_url(servers.redis) as client:
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(UnavailableError, match="full"):
                redis_store.apply(step[0], cells=step[1])
            snapshot = redis_store.read()
            assert "Redis is full" in " ".join(snapshot.states)
            assert replace(snapshot, states=()) == before
        finally:
            client.config_set("maxmemory", 0)
    assert redis_store.apply(step[0], cells=step[1]) is Outcome.APPLIED


@pytest.mark.integration
def test_an_evicting_redis_is_refused_by_writers_and_readers(redis_store: Store, servers: Any) -> None:
    begun(redis_store)
    with Redis.from_url(servers.redis) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", 10**9)
        try:
            for act in (
                lambda: redis_store.run(redis_store.sink.begin(Rules(), "log-1")),
                lambda: redis_store.run(redis_store.sink.check()),
                redis_store.read,
            ):
                with pytest.raises(ConfigurationError, match=r"allkeys-lru.*set it to noeviction"):
                    act()
        finally:
            client.config_set("maxmemory", 0)
            client.config_set("maxmemory-policy", "noeviction")


@contextmanager
def as_user(servers: Any, *may: str) -> Iterator[str]:
    """The address of the server for a user who may do so much."""
    with Redis.from_url(servers.redis) as admin:
        admin.execute_command("ACL", "SETUSER", "tester", "on", ">secret", "~*", *may)
        try:
            yield servers.redis.replace("redis://", "redis://tester:secret@")
        finally:
            admin.execute_command("ACL", "DELUSER", "tester")


@pytest.mark.integration
@pytest.mark.parametrize("may", [("+@all", "-info"), ("+@all", "-info", "-client"), ("+@all", "-@dangerous", "-info")])
def test_where_info_is_forbidden_all_goes_on(servers: Any, may: tuple[str, ...]) -> None:
    with as_user(servers, *may) as address:
        store = in_redis(address)
        begun(store)
        reader = store.reader()
        assert reader.read().totals == {ALL: cell_of(3)}
        store.apply(Move(CLICKS_0, at(1), at(2)), cells={(1, 5): {ALL: cell_of(1)}})
        assert reader.read() == store.read()
        reader._client.connection_pool.disconnect()  # type: ignore[attr-defined]
        assert reader.read().totals == {ALL: cell_of(4)}
        assert store.run(store.sink.check()) is None
        store.lose("cells:1:5")
        assert "cells:1:5" in store.run(store.sink.check())
        reader.close()
        store.close()


@pytest.mark.integration
@pytest.mark.parametrize("command", ["evalsha", "hincrby", "pfadd", "zadd", "zrem", "hset", "del", "type", "time"])
def test_a_missing_permission_is_for_good_and_leaves_nothing(redis_store: Store, servers: Any, command: str) -> None:
    begun(redis_store)
    before = redis_store.read()
    sink = redis_store.sink
    assert isinstance(sink, RedisSink)
    with as_user(servers, "+@all", f"-{command}") as address:
        mine = RedisSink(AsyncRedis.from_url(address), sink._tag.strip("{}"), SHOP)
        delta = delta_of({(1, 5): {ALL: cell_of(1)}, (3, 5): {ALL: cell_of(1)}}, users={(1, 5): ["x"]})
        with pytest.raises(ConfigurationError, match=r"FOURFOLD_REDIS may not use"):
            redis_store.run(mine.apply(Step([Move(CLICKS_0, at(1), at(2))], delta)))
        redis_store.run(mine.close())
    assert redis_store.read() == before
    assert redis_store.run(redis_store.sink.check()) is None


@pytest.mark.integration
def test_a_wrong_password_is_for_good(redis_store: Store, servers: Any) -> None:
    with as_user(servers, "+@all") as address:
        wrong = address.replace("secret", "guess")
        sink, reader = RedisSink(AsyncRedis.from_url(wrong), "v1", SHOP), RedisReader(Redis.from_url(wrong), "v1", SHOP)
        for act in (lambda: redis_store.run(sink.positions([CLICKS_0])), reader.read, reader.rules):
            with pytest.raises(ConfigurationError, match="password") as said:
                act()
            assert "guess" not in str(said.value)
        redis_store.run(sink.close())
        reader.close()


@pytest.mark.integration
def test_a_replica_is_waited_for_and_then_it_is_for_good(redis_store: Store, servers: Any) -> None:
    begun(redis_store)
    sink = redis_store.sink
    assert isinstance(sink, RedisSink)
    now = 0.0
    sink._patience = Patience(lambda: now)
    redis_store.run(sink.begin(Rules(), "log-1"))
    with Redis.from_url(servers.redis) as client:
        client.replicaof("127.0.0.1", 1)
        try:
            for act in (
                lambda: redis_store.apply(Move(CLICKS_0, at(1), at(2)), cells={(1, 5): {ALL: cell_of(1)}}),
                lambda: redis_store.run(sink.begin(Rules(), "log-1")),
            ):
                with pytest.raises(ReplicaError, match="replica"):
                    act()
            assert "replica" in " ".join(redis_store.read().states)
            now = LATER_S + 1
            with pytest.raises(ConfigurationError, match="REPLICAOF NO ONE"):
                redis_store.apply(Move(CLICKS_0, at(1), at(2)), cells={(1, 5): {ALL: cell_of(1)}})
        finally:
            client.execute_command("REPLICAOF", "NO", "ONE")
    assert redis_store.apply(Move(CLICKS_0, at(1), at(2)), cells={(1, 5): {ALL: cell_of(1)}}) is Outcome.APPLIED


# --- the server is away --------------------------------------------------------------------------


@contextmanager
def nobody() -> Iterator[int]:
    """A port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    yield port


@contextmanager
def silence() -> Iterator[int]:
    """A port at which somebody listens who never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextmanager
def hang_up() -> Iterator[int]:
    """A port at which somebody hangs up on everybody."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


AWAY = pytest.mark.parametrize("away", [nobody, silence, hang_up])


@AWAY
@pytest.mark.parametrize(
    "act",
    [
        lambda sink: sink.begin(Rules(), "log"),
        lambda sink: sink.positions([CLICKS_0]),
        lambda sink: sink.all_positions(),
        lambda sink: sink.apply(Step([first()], delta_of())),
    ],
    ids=["begin", "positions", "all_positions", "apply"],
)
def test_a_writer_says_that_the_server_is_away(away: Any, act: Callable[[SpeedSink], Any]) -> None:
    async def attempt(port: int) -> None:
        sink = RedisSink(AsyncRedis(port=port, socket_timeout=0.1, socket_connect_timeout=0.1, retry=None), "v1", SHOP)
        try:
            with pytest.raises(UnavailableError, match="Redis does not"):
                await act(sink)
        finally:
            await sink.close()

    with away() as port:
        asyncio.run(attempt(port))


@AWAY
@pytest.mark.parametrize("act", [lambda reader: reader.read(), lambda reader: reader.rules()], ids=["read", "rules"])
def test_a_reader_says_that_the_server_is_away(away: Any, act: Callable[[SpeedReader], Any]) -> None:
    with away() as port:
        reader = RedisReader(Redis(port=port, socket_timeout=0.1, socket_connect_timeout=0.1, retry=None), "v1", SHOP)
        with pytest.raises(UnavailableError, match="Redis does not answer"):
            act(reader)
        reader.close()


def test_counting_users_says_that_the_server_is_away() -> None:
    with nobody() as port:
        reader = RedisReader(Redis(port=port, retry=None), "v1", SHOP)
        reader._names = {(1, 5)}
        with pytest.raises(UnavailableError, match="Redis does not answer"):
            reader.distinct_users([5])
        reader.close()
