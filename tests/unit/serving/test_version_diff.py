"""Two versions of a job are compared where both have the same records, wherever each one stands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.speed.memory import MemoryStore
from adapters.speed.port import Outcome, Snapshot, Step
from core.cells import CellKey
from core.delta import Delta
from core.kernel.kernel import Kernel
from core.position import PartitionKey, Position
from core.rfc3339 import to_text
from core.rollup import Grain
from core.rules import Rules
from serving.version_diff import common_epoch, version_diff
from tests.support.events import CLICKS_0
from tests.support.raw_log import Row, shop_log
from tests.support.shop import KERNEL, PRICE_ONLY, SHOP, cell_of, fold_of
from tests.support.speed_stores import apply

RULES = Rules(epoch_ms=10_000)
LOG = shop_log(5, 1_500, gaps=False)
ENDS: dict[PartitionKey, int] = {}
for row in LOG:
    ENDS[row.source] = row.offset + 1


class Read:
    """A row as the fold sees it."""

    def __init__(self, row: Row) -> None:
        self.offset, self.timestamp, self.key, self.value = row.offset, row.append_ms, row.key, row.value


def view(vector: dict[PartitionKey, int], kernel: Kernel = KERNEL) -> Snapshot:
    """The view of everything below `vector`."""
    store = MemoryStore(SHOP)
    for source, end in vector.items():
        fold, delta = fold_of(source, Position(), RULES, kernel), Delta()
        fold.fold([Read(row) for row in LOG if row.source == source and row.offset < end], end, delta)
        assert apply(store, Step(source, "", fold.position.encode(), delta)) is Outcome.APPLIED
    return store.snapshot()


def test_the_same_logic_at_the_same_place_is_equal_and_all_is_compared():
    found = version_diff(view(ENDS), view(ENDS), SHOP)
    assert (found.below, found.equal, found.percent) == (None, True, 0.0)
    assert found.compared == len(view(ENDS).merged()) > 100


@given(st.data())
def test_versions_that_stand_anywhere_agree_on_what_both_have(data):
    shares = st.fixed_dictionaries({source: st.integers(0, end) for source, end in ENDS.items()})
    one, two = view(data.draw(shares)), view(data.draw(shares))
    found = version_diff(one, two, SHOP)
    assert found.equal
    if found.below is not None:
        wanted = {(e, m) for seen in (one, two) for e, m in seen.cells if e < found.below}
        assert {key.minute for key in found_cells(found, one)} <= {minute for _, minute in wanted}


def found_cells(found, snapshot):
    return [key for (epoch, _), part in snapshot.cells.items() if epoch < found.below for key in part]


def test_what_is_compared_ends_where_the_one_behind_stands():
    source = LOG[0].source
    behind = view({**ENDS, source: 20})
    row = next(row for row in LOG if row.source == source and row.offset == 19)
    assert common_epoch(view(ENDS), behind) == RULES.epoch_of(row.append_ms)


def test_a_version_that_has_not_begun_with_a_partition_has_nothing_in_common():
    begun = dict(list(ENDS.items())[1:])
    found = version_diff(view(ENDS), view(begun), SHOP)
    assert (found.below, found.compared, found.equal) == (0, 0, True)


def test_another_logic_is_shown_by_how_much():
    found = version_diff(view(ENDS), view(ENDS, PRICE_ONLY), SHOP)
    before, after = found.totals
    assert (before[0], before[1], before[2]) == (after[0], after[1], after[2])
    assert before[3] > after[3] > 0
    assert found.percent == pytest.approx(100 * (1 - after[3] / before[3]))
    assert not found.equal
    distances = [change.distance for change in found.changes]
    assert distances == sorted(distances, reverse=True)
    document = found.as_json(RULES.epoch_ms, ENDS)
    assert document["differing_cells"] == len(found.changes) > len(document["largest"]) == 10
    assert document["totals"]["units"]["percent"] == 0
    assert document["counters"] == {}


def test_a_range_of_merged_epochs_is_compared_whole_or_not_at_all():
    def standing(epoch: int, offset: int, *ranges: tuple[int, int]) -> Snapshot:
        position = Position(next=offset, epoch=epoch, accepted=offset)
        return Snapshot({CLICKS_0: position}, 0, {}, {}, {}, ranges=ranges)

    one = standing(40, 9)
    assert common_epoch(one, standing(37, 8)) == 37
    assert common_epoch(one, standing(37, 8, (16, 31), (32, 47))) == 32
    assert common_epoch(standing(40, 9, (24, 33)), standing(37, 8, (32, 47), (16, 31))) == 16
    assert common_epoch(one, standing(40, 9, (32, 47))) is None


def test_versions_are_compared_as_coarsely_as_one_of_them_keeps_time():
    fine, coarse = 1_000_000, Grain(1_000_020, 0)
    minutes = [fine, fine + 1]
    one = Snapshot({}, 0, {(1, m): {CellKey(m, "all", ""): cell_of(1)} for m in minutes}, {}, {})
    hour = coarse.start(fine)
    two = Snapshot({}, 0, {(1, hour): {CellKey(hour, "all", ""): cell_of(2)}}, {}, {}, grain=coarse)
    found = version_diff(one, two, SHOP)
    assert (found.equal, found.compared) == (True, 1)
    assert found.as_json(30_000, {})["minutes_since"] == to_text(coarse.hours_below * 60_000)
