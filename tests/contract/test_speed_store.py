"""What a store of speed views must do: the same cases on the twin in memory and on a real Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.speed.port import Outcome, RefusedError, Snapshot, Step
from core.cells import Cell, CellKey
from core.errors import ConfigurationError, UnavailableError
from core.position import PartitionKey, Position
from core.rules import Rules
from core.sketch import union_count
from tests.support.events import CLICKS_0, CLICKS_1, SALES_0, at, delta_of
from tests.support.shop import DIMENSIONS, cell_of
from tests.support.speed_stores import LOG, Move, RedisStore, Store, first, in_memory, users_of

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


@pytest.fixture(params=["memory", pytest.param("redis", marks=[pytest.mark.integration, pytest.mark.versions])])
def make(request: pytest.FixtureRequest) -> Callable[[], Store]:
    """Makes an empty store."""
    if request.param == "memory":
        return in_memory
    address = request.getfixturevalue("servers").redis
    return lambda: RedisStore(address)


@pytest.fixture
def store(make: Callable[[], Store]) -> Iterator[Store]:
    made = make()
    yield made
    made.close()


# --- steps ---------------------------------------------------------------------------------------


def test_an_empty_view_has_nothing(store: Store) -> None:
    snapshot = store.read()
    assert snapshot == Snapshot({}, 0, {}, {}, {}, {})
    assert snapshot.merged() == {}
    assert store.reader().rules() is None
    assert store.run(store.sink.all_positions()) == {}
    assert store.open(CLICKS_0) == {CLICKS_0: None}
    assert store.read() == snapshot
    assert store.run(store.sink.all_positions()) == {}
    assert users_of(store.reader(), range(10)) == 0


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


def test_a_step_of_a_worker_that_did_not_open_the_partition_is_a_conflict(store: Store) -> None:
    store.open(CLICKS_0)
    steps = [Step(*first(CLICKS_1), delta_of({(1, 5): {ALL: cell_of(1)}}))]
    assert store.run(store.sink.apply(steps)) == {CLICKS_1: Outcome.CONFLICT}
    assert store.read() == Snapshot({}, 0, {}, {}, {}, {})


def test_a_partition_that_went_to_another_worker_is_let_go_of(store: Store) -> None:
    store.open(CLICKS_0, CLICKS_1)
    store.apply(first(CLICKS_0), first(CLICKS_1), cells={(1, 5): {ALL: cell_of(1)}})
    store.open(CLICKS_1)
    store.lose(CLICKS_0, "log")
    # another one's to notice
    assert store.run(store.sink.check()) is None
    step = Step(CLICKS_0, at(1), at(2), delta_of())
    assert store.run(store.sink.apply([step])) == {CLICKS_0: Outcome.CONFLICT}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize(("there", "outcome"), [(5, Outcome.CONFLICT), (2, Outcome.ALREADY)])
def test_the_conflict_of_a_partition_does_not_hold_up_the_others(
    store: Store, order: tuple[int, int], there: int, outcome: Outcome
) -> None:
    store.apply(first(CLICKS_0), first(CLICKS_1))
    store.apply(Move(CLICKS_0, at(1), at(there)))
    steps = [
        Step(CLICKS_0, at(1), at(2), delta_of({(1, 5): {ALL: cell_of(1)}})),
        Step(CLICKS_1, at(1), at(2), delta_of({(1, 5): {ALL: cell_of(10)}})),
    ]
    outcomes = store.run(store.sink.apply([steps[number] for number in order]))
    assert outcomes == {CLICKS_0: outcome, CLICKS_1: Outcome.APPLIED}
    snapshot = store.read()
    assert snapshot.vector == {CLICKS_0: there, CLICKS_1: 2}
    assert snapshot.totals == {ALL: cell_of(10)}


def test_a_step_of_several_epochs_is_one_step(store: Store) -> None:
    step = Step(
        *first(), delta_of({(e, 5): {ALL: cell_of(1)} for e in range(3)}, quality={e: {"late": 1} for e in (0, 2)})
    )
    store.open(CLICKS_0)
    for outcome in (Outcome.APPLIED, Outcome.ALREADY):
        assert store.run(store.sink.apply([step])) == {CLICKS_0: outcome}
        assert store.read().totals == {ALL: cell_of(3)}
        assert store.read().quality == {0: {"late": 1}, 2: {"late": 1}}


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
    assert users_of(reader, [5]) == 2


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
    assert union_count(seen[-1].users.between(5, 6)) == 1
    store.apply(Move(CLICKS_0, at(1), at(2)), cells={(1, 5): {ALL: cell_of(1)}})
    assert reader.read(2).totals == {ALL: cell_of(110)}
    reader.close()


def test_users_of_a_batch_view_and_of_the_sketch_are_counted_together(store: Store) -> None:
    store.apply(first(), cells={(1, 5): {ALL: cell_of(1)}}, users={(1, 5): ["a", "b"]})
    reader = store.reader()
    reader.read()
    assert users_of(reader, [5], ["b", "c"]) == 3
    assert users_of(reader, [6], ["b", "c"]) == 2
    assert users_of(reader, [6]) == 0
    assert users_of(reader, [5]) == 2
    reader.close()


@pytest.mark.parametrize("cents", [2**53 - 1, 2**53, 2**53 + 1, 2**62])
def test_revenue_is_exact_beyond_what_a_float_holds(store: Store, cents: int) -> None:
    store.apply(first(), cells={(1, 5): {ALL: cell_of(revenue_cents=cents)}})
    store.apply(Move(CLICKS_0, at(1), at(2)), cells={(1, 5): {ALL: cell_of(1, 1, 1, 1)}})
    assert store.read().totals == {ALL: cell_of(1, 1, 1, cents + 1)}


def test_large_sums_of_several_partitions_are_exact(store: Store) -> None:
    for minute, partition in enumerate((CLICKS_0, CLICKS_1, SALES_0)):
        store.apply(first(partition), cells={(1, minute): {ALL: cell_of(revenue_cents=2**62)}})
        store.apply(Move(partition, at(1), at(2)), cells={(2, minute): {ALL: cell_of(revenue_cents=2**62 - 1)}})
    assert store.read().totals == {ALL: cell_of(revenue_cents=3 * (2**63 - 1))}


def test_any_value_of_a_dimension_comes_back_as_it_was(store: Store) -> None:
    part = {(d, v): cell_of(i + 1, i, i, i) for d in DIMENSIONS for i, v in enumerate(ODD) if d != "all"}
    store.apply(first(), cells={(1, 5): part}, users={(1, 5): ODD})
    snapshot = store.read()
    assert snapshot.cells == {(1, 5): {CellKey(5, *where): cell for where, cell in part.items()}}
    assert dict(snapshot.totals) == part
    reader = store.reader()
    reader.read()
    assert users_of(reader, [5]) == len(ODD)


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
    assert users_of(reader, [5]) == 3
    assert users_of(reader, [5, 6]) == 4
    assert users_of(reader, [8]) == 0
    assert users_of(reader, []) == 0


@pytest.mark.parametrize("count", [1_000, 60_000])
def test_many_distinct_users_are_estimated_within_three_percent(store: Store, count: int) -> None:
    for part in range(3):
        users = {(part, 5): [f"user-{n}" for n in range(part * count // 6, count)]}
        store.apply(Move(CLICKS_0, at(part) if part else "", at(part + 1)), users=users)
    reader = store.reader()
    reader.read()
    assert users_of(reader, [5]) == pytest.approx(count, rel=0.03)


# --- what a view is bound to ---------------------------------------------------------------------


def test_beginning_again_under_the_same_rules_is_fine(store: Store) -> None:
    rules = Rules(epoch_ms=10_000, horizon=2)
    for keep in (0, 5):
        store.run(store.sink.begin(Rules(10_000, 2, 60_000, keep), LOG))
    assert store.reader().rules() == rules


@pytest.mark.parametrize("rules", [Rules(20_000), Rules(horizon=2), Rules(lateness_ms=1)])
def test_a_view_is_not_continued_under_other_rules(store: Store, rules: Rules) -> None:
    store.run(store.sink.begin(Rules(), LOG))
    with pytest.raises(ConfigurationError, match=r"was begun with .* the settings now say .* FOURFOLD_NAMESPACE"):
        store.run(store.sink.begin(rules, LOG))
    assert store.reader().rules() == Rules()


def test_a_view_is_not_continued_on_another_log(store: Store) -> None:
    store.run(store.sink.begin(Rules(), LOG))
    with pytest.raises(ConfigurationError, match=r"counts a log that is gone .* FOURFOLD_NAMESPACE"):
        store.run(store.sink.begin(Rules(), "log-2"))
    store.run(store.sink.begin(Rules(), LOG))


# --- what a store may lose -----------------------------------------------------------------------

#: The parts of a partition that `begun` has filled.
PARTS = ["state", "log", "totals", "blocks"]


def begun(store: Store) -> None:
    """A partition with something in each of its parts, and another one."""
    store.open(CLICKS_0, SALES_0)
    store.apply(
        first(offset=1),
        first(SALES_0),
        cells={(1, 5): {ALL: cell_of(1)}, (2, 6): {ALL: cell_of(1)}},
        users={(1, 5): ["a"], (2, 6): ["b"]},
        quality={1: {"accepted": 3}},
    )
    store.settle()
    store.apply(Move(CLICKS_0, at(1), at(2)), cells={(2, 6): {ALL: cell_of(1)}})


def counted_again(store: Store, *partitions: PartitionKey) -> None:
    """A worker restores, and counts a partition from the log's start."""
    found = store.open(CLICKS_0, SALES_0)
    assert {partition for partition, text in found.items() if text is None} == set(partitions)
    assert store.apply(first(), cells={(1, 5): {ALL: cell_of(5)}}, users={(1, 5): ["c"]}) is Outcome.APPLIED


@pytest.mark.parametrize("part", PARTS)
def test_a_partition_that_lost_a_part_is_noticed_refused_and_begun_again(store: Store, part: str) -> None:
    begun(store)
    store.apply(Move(SALES_0, at(1), at(2)), cells={(1, 5): {ALL: cell_of(0, 9)}})
    assert store.run(store.sink.check()) is None
    store.lose(CLICKS_0, part)
    assert (part if part != "state" else "emptied") in store.run(store.sink.check()) or part == "state"
    with pytest.raises(UnavailableError, match="lost a key of the view"):
        store.read()
    late = Move(CLICKS_0, at(2), at(3))
    assert store.apply(late, cells={(1, 5): {ALL: cell_of(1)}}) is Outcome.CONFLICT
    counted_again(store, CLICKS_0)
    assert store.run(store.sink.check()) is None
    assert store.apply(late, cells={(1, 5): {ALL: cell_of(1)}}) is Outcome.CONFLICT
    snapshot = store.read()
    # what the other partition has is not counted again
    assert snapshot.cells == {(1, 5): {CellKey(5, *ALL): cell_of(5, 9)}}
    assert snapshot.vector == {CLICKS_0: 1, SALES_0: 2}
    reader = store.reader()
    reader.read()
    assert users_of(reader, [5, 6]) == 1


def test_a_view_that_was_emptied_is_noticed_by_who_has_begun_it(store: Store) -> None:
    begun(store)
    store.flush()
    assert "emptied" in store.run(store.sink.check())
    late = Step(CLICKS_0, at(2), at(3), delta_of({(1, 5): {ALL: cell_of(1)}}))
    assert store.run(store.sink.apply([late])) == {CLICKS_0: Outcome.CONFLICT}
    counted_again(store, CLICKS_0, SALES_0)
    assert store.run(store.sink.check()) is None


def test_a_view_that_lost_a_part_is_not_begun_again_under_other_rules(store: Store) -> None:
    begun(store)
    store.lose(CLICKS_0, "log")
    with pytest.raises(ConfigurationError, match="was begun with"):
        store.run(store.sink.begin(Rules(20_000), LOG))
    with pytest.raises(UnavailableError):
        store.read()


def test_a_view_whose_epochs_expire_has_lost_nothing(store: Store) -> None:
    begun(store)
    store.floor.raise_floor(2)
    assert store.run(store.sink.check()) is None
    store.apply(Move(CLICKS_0, at(2), at(3)), floor=3)
    store.settle()
    assert store.run(store.sink.check()) is None
    assert store.read().cells == {}
    assert store.apply(Move(CLICKS_0, at(3), at(4)), cells={(3, 7): {ALL: cell_of(1)}}) is Outcome.APPLIED
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
    now, following = at(2), at(3)
    if size == 2**63 - 1:
        # so much is what a cell may hold
        step["cells"][2, 6][ALL] = cell_of(2)
        assert store.apply(Move(CLICKS_0, at(2), at(3)), **step) is Outcome.APPLIED
        before = store.read()
        now, following = at(3), at(4)
    for _ in range(2):
        with pytest.raises(RefusedError, match="64 bits"):
            store.apply(Move(CLICKS_0, now, following), **step)
    assert store.read() == before
    assert store.run(store.sink.check()) is None
    # what can be added still is
    assert store.apply(Move(CLICKS_0, now, following), cells={(1, 5): {ALL: cell_of(1)}}) is Outcome.APPLIED
    assert store.read().totals[ALL][0] == before.totals[ALL][0] + 1


def test_a_counter_beyond_64_bits_is_refused_by_name(store: Store) -> None:
    begun(store)
    store.apply(Move(CLICKS_0, at(2), at(3)), quality={1: {"late": 2**63 - 1}})
    before = store.read()
    with pytest.raises(RefusedError, match="the counter 'late' of epoch 1"):
        store.apply(Move(CLICKS_0, at(3), at(4)), quality={1: {"accepted": 1, "late": 1}})
    with pytest.raises(RefusedError, match=r"revenue_cents of product 'pot' at 1970-01-01T00:05"):
        store.apply(Move(CLICKS_0, at(3), at(4)), cells={(1, 5): {("product", "pot"): cell_of(1, 1, 1, 2**64)}})
    assert store.read() == before


def test_sums_that_cancel_out_and_expire_one_by_one(store: Store) -> None:
    for number, sales in enumerate((3, 5, -5)):
        store.apply(
            Move(CLICKS_0, at(number) if number else "", at(number + 1)), cells={(number, 5): {ALL: cell_of(0, sales)}}
        )
    reader = store.reader()
    assert reader.read().totals == {ALL: cell_of(0, 3)}
    for floor, totals in ((1, {}), (2, {ALL: cell_of(0, -5)}), (3, {})):
        store.floor.raise_floor(floor)
        assert dict(filter(lambda item: any(item[1]), reader.read().totals.items())) == totals
    reader.close()


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
    assert users_of(reader, [5]) == 0


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
    kind=st.sampled_from(["apply"] * 8 + ["again", "conflict", "flush", "merge", "read", "read"]),
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
    if change.kind == "merge":
        store.settle()
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
            assert users_of(reader, range(4)) == users_of(twin.reader(), range(4))
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
