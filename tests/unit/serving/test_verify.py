"""verify: a view equals the truth at its own offsets, or every difference is named."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.speed.memory import MemoryStore
from adapters.speed.port import Snapshot, Step
from core.cells import Cell, CellKey, Cells, merge
from core.delta import Delta
from core.ledger import Ledger
from core.partition import PartitionFold
from core.position import PartitionKey, Position
from core.rollup import Grain
from core.rules import Rules
from serving.answer import merged
from serving.verify import Verdict, compare
from tests.support.events import CLICKS_0, NOW_MINUTE, NOW_MS, SALES_0, Record, as_bytes, click, sale
from tests.support.shop import SHOP, ZERO, Claim, cell_of, encode, fold_of
from tests.support.speed_stores import apply

RULES = Rules(epoch_ms=1_000, horizon=1, lateness_ms=2_000)
EPOCH = NOW_MS // 1_000
ALL = CellKey(NOW_MINUTE, "all", "")


def claim(number: int, verdict: str = "accepted", **more: object) -> bytes:
    fields: dict[str, object] = {"time_ms": NOW_MS, "campaign": "spring", "product": "cup", "country": "DE"}
    return encode(Claim("run", number, verdict, **(fields | more)))  # type: ignore[arg-type]


class World:
    """One log, counted by the pipeline and told by its producer."""

    def __init__(self) -> None:
        self.ledger = Ledger(SHOP, epoch_ms=RULES.epoch_ms, horizon=RULES.horizon, lateness_ms=RULES.lateness_ms)
        self.store = MemoryStore(SHOP)
        self._folds: dict[PartitionKey, PartitionFold] = {}

    def say(self, source: PartitionKey, value: bytes, header: bytes | None, append_ms: int = NOW_MS) -> World:
        fold = self._folds.setdefault(source, fold_of(source, Position(), RULES))
        offset, old = fold.position.next, fold.position.encode() if fold.position.next else ""
        self.ledger.add(source, offset, append_ms, header)
        delta = Delta()
        fold.fold([Record(offset, append_ms, value)], offset + 1, delta)
        apply(self.store, Step(source, old, fold.position.encode(), delta))
        return self

    def click(self, number: int = 1, append_ms: int = NOW_MS, verdict: str = "accepted") -> World:
        header = claim(number, verdict, clicks=1)
        return self.say(CLICKS_0, as_bytes(click(id=f"e{number}")), header, append_ms)

    def sale(self, number: int = 100) -> World:
        header = claim(number, sales=1, units=2, revenue_cents=2500)
        return self.say(SALES_0, as_bytes(sale(id=f"e{number}")), header)

    @property
    def snapshot(self) -> Snapshot:
        return self.store.snapshot()

    def verdict(self, snapshot: Snapshot | None = None) -> Verdict:
        return compare(merged(ZERO, snapshot or self.snapshot, None), self.ledger, SHOP)


@pytest.fixture
def world() -> World:
    return World().click(1).click(2).sale()


def changed(snapshot: Snapshot, key: CellKey, cell: Cell, epoch: int = EPOCH) -> Snapshot:
    cells: dict[tuple[int, int], Cells] = {place: dict(part) for place, part in snapshot.cells.items()}
    cells.setdefault((epoch, key.minute), {})[key] = cell
    return replace(snapshot, cells=cells)


def counted(snapshot: Snapshot, **counters: int) -> Snapshot:
    quality: Mapping[int, Mapping[str, int]] = {EPOCH: {**snapshot.quality.get(EPOCH, {}), **counters}}
    return replace(snapshot, quality=quality)


def differences(verdict: Verdict) -> list[tuple[str, str, int, int]]:
    assert not verdict.exact
    return [(d.where, d.measure, d.view, d.truth) for d in verdict.differences]


def test_a_view_that_counted_everything_is_exact(world: World) -> None:
    verdict = world.verdict()
    assert verdict == Verdict(
        exact=True, compared_cells=4, events=3, accuracy=1.0, duplicates_beyond_horizon=0, unaudited=0
    )
    assert verdict.as_json()["exact"] is True


def test_an_empty_view_of_an_empty_log_is_exact() -> None:
    verdict = World().verdict()
    assert (verdict.exact, verdict.compared_cells, verdict.accuracy) == (True, 0, 1.0)


def test_duplicates_late_and_rejected_records_are_compared_too(world: World) -> None:
    world.click(1, verdict="duplicate")
    world.say(CLICKS_0, b"\xff", claim(200, "rejected", reason="not_json"))
    late = claim(3, clicks=1, time_ms=NOW_MS - 10_000, late=True)
    world.say(CLICKS_0, as_bytes(click(NOW_MS - 10_000, id="e3")), late)
    assert world.snapshot.counters == {"accepted": 4, "duplicates": 1, "late": 1, "rejected:not_json": 1}
    assert world.verdict().exact


def test_a_view_that_is_behind_is_compared_at_its_own_offsets(world: World) -> None:
    behind = world.snapshot
    world.click(3).sale(101)
    assert world.verdict(behind).exact
    assert world.verdict().events == 5


@pytest.mark.parametrize(
    ("cell", "measure", "numbers"),
    [
        (cell_of(3, 1, 2, 2500), "clicks", (3, 2)),
        (cell_of(2, 0, 2, 2500), "sales", (0, 1)),
        (cell_of(2, 1, 3, 2500), "units", (3, 2)),
        (cell_of(2, 1, 2, 2501), "revenue_cents", (2501, 2500)),
    ],
)
def test_a_cell_that_differs_in_one_measure_is_named(
    world: World, cell: Cell, measure: str, numbers: tuple[int, int]
) -> None:
    verdict = world.verdict(changed(world.snapshot, ALL, cell))
    assert differences(verdict) == [("2026-01-01T00:00 all", measure, *numbers)]
    assert str(verdict.differences[0]) == (f"2026-01-01T00:00 all {measure}: view {numbers[0]:,}, truth {numbers[1]:,}")


def test_a_cell_that_the_truth_does_not_have_is_named(world: World) -> None:
    verdict = world.verdict(changed(world.snapshot, CellKey(NOW_MINUTE, "country", "FR"), cell_of(clicks=1)))
    assert differences(verdict) == [("2026-01-01T00:00 country 'FR'", "clicks", 1, 0)]
    assert verdict.compared_cells == 5


def test_a_cell_that_the_view_does_not_have_is_named(world: World) -> None:
    lost = replace(world.snapshot, cells={})
    assert {d[0].split()[1] for d in differences(world.verdict(lost))} == {"all", "campaign", "product", "country"}
    assert world.verdict(lost).accuracy == 0.0


def test_a_difference_in_another_minute_does_not_cancel_out(world: World) -> None:
    moved = changed(world.snapshot, ALL, cell_of(1, 1, 2, 2500))
    moved = changed(moved, CellKey(NOW_MINUTE + 1, "all", ""), cell_of(clicks=1))
    assert len(differences(world.verdict(moved))) == 2
    assert world.verdict(moved).accuracy == pytest.approx(1 - 2 / 3)


@pytest.mark.parametrize("name", ["accepted", "duplicates", "late", "rejected:not_json", "rejected:bad_format"])
def test_a_counter_that_differs_is_named(world: World, name: str) -> None:
    before = world.snapshot.counters.get(name, 0)
    verdict = world.verdict(counted(world.snapshot, **{name: before + 1}))
    assert differences(verdict) == [("quality", name, before + 1, before)]


@pytest.mark.parametrize("field", ["accepted", "duplicates", "rejected", "gaps", "lost", "first", "next"])
def test_offsets_that_are_not_accounted_for_are_named(world: World, field: str) -> None:
    snapshot = world.snapshot
    position = snapshot.positions[CLICKS_0]
    wrong = position._replace(**{field: getattr(position, field) + 1})
    verdict = world.verdict(replace(snapshot, positions={**snapshot.positions, CLICKS_0: wrong}))
    (found,) = [d for d in differences(verdict) if d[0].startswith("conservation")]
    assert found[:2] == ("conservation of clicks:0", "offsets")
    assert found[2] != found[3]


def test_duplicates_beyond_the_horizon_are_exact_and_cost_accuracy(world: World) -> None:
    world.click(1, append_ms=NOW_MS + 5_000, verdict="duplicate")
    verdict = world.verdict()
    assert verdict.exact
    assert verdict.duplicates_beyond_horizon == 1
    assert verdict.accuracy == pytest.approx(1 - 1 / 3)


def test_records_without_a_claim_are_counted_as_not_audited(world: World) -> None:
    world.say(CLICKS_0, as_bytes(click(id="foreign")), None)
    world.say(CLICKS_0, b"garbage", b"garbage")
    assert world.verdict().unaudited == 2


def test_epochs_below_the_floor_are_not_compared(world: World) -> None:
    world.click(3, append_ms=NOW_MS + 4_000)
    floor = EPOCH + 4
    snapshot = world.snapshot
    left = {place: part for place, part in snapshot.cells.items() if place[0] >= floor}
    quality = {epoch: part for epoch, part in snapshot.quality.items() if epoch >= floor}
    verdict = world.verdict(replace(snapshot, floor=floor, cells=left, quality=quality))
    assert (verdict.exact, verdict.events) == (True, 1)


def test_epochs_that_the_log_no_longer_tells_are_not_compared(world: World) -> None:
    short = Ledger(SHOP, epoch_ms=RULES.epoch_ms, horizon=RULES.horizon, lateness_ms=RULES.lateness_ms)
    world.click(3, append_ms=NOW_MS + 4_000)
    # retention removed the first record before the auditor read them
    short.add(CLICKS_0, 1, NOW_MS, claim(2, clicks=1))
    short.add(CLICKS_0, 2, NOW_MS + 4_000, claim(3, clicks=1))
    assert short.sound_from == EPOCH + 2
    verdict = compare(merged(ZERO, world.snapshot, None), short, SHOP)
    assert verdict.differences == []
    assert (verdict.exact, verdict.events) == (True, 1)


@given(st.text(max_size=64), st.text(max_size=32))
def test_a_difference_is_said_in_one_harmless_line(value: str, reason: str) -> None:
    hostile = World()
    header = encode(Claim("run", 1, "accepted", time_ms=NOW_MS, clicks=1, campaign=_whole(value)))
    rejected = encode(Claim("run", 2, "rejected", reason=_whole(reason)))
    for offset, said in enumerate((header, rejected)):
        hostile.ledger.add(CLICKS_0, offset, NOW_MS, said)
    verdict = hostile.verdict(Snapshot({CLICKS_0: Position(next=2, accepted=1, rejected=1)}, 0, {}, {}, {}))
    assert not verdict.exact
    for difference in verdict.differences:
        assert not any(unicodedata.category(c).startswith(("C", "Zl", "Zp")) for c in str(difference))


def _whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def test_a_record_without_a_header_may_add_what_it_can_and_no_more(world: World) -> None:
    world.say(CLICKS_0, as_bytes(click(id="mine", campaign_id="theirs")), None)
    verdict = world.verdict()
    assert (verdict.exact, verdict.unaudited) == (True, 1)
    twice = changed(world.snapshot, ALL, cell_of(4, 1, 2, 2500))
    assert not world.verdict(twice).exact


def test_other_epochs_stay_strict_beside_one_with_a_strangers_record(world: World) -> None:
    world.say(CLICKS_0, as_bytes(click(id="mine")), None)
    world.click(7, append_ms=NOW_MS + 1_000)
    assert world.verdict().exact
    more = changed(world.snapshot, ALL, cell_of(2), EPOCH + 1)
    assert not world.verdict(more).exact


def test_an_answer_without_anything_is_empty() -> None:
    assert World().verdict().empty
    assert not World().say(CLICKS_0, b"\xff", claim(1, "rejected", reason="not_json")).verdict().empty


def test_epochs_that_were_merged_are_one_group() -> None:
    """A record without a claim in one of them is judged with all of them; a range that the truth cuts is left out."""
    world = World().click(1).click(2, append_ms=NOW_MS + 30_000)
    world.say(CLICKS_0, as_bytes(click(id="other")), None, NOW_MS + 30_000)
    fine = world.snapshot
    assert world.verdict(fine).exact
    merged_cells = {(EPOCH, NOW_MINUTE): merge(*fine.cells.values())}
    coarse = replace(fine, cells=merged_cells, ranges=((EPOCH, EPOCH + 63),))
    verdict = world.verdict(coarse)
    assert (verdict.exact, verdict.unaudited) == (True, 1)
    # without that knowledge it would be a difference
    assert not world.verdict(replace(coarse, ranges=())).exact


def test_a_view_that_keeps_hours_is_compared_by_hours() -> None:
    world = World().click(1).click(2)
    grain = Grain((NOW_MINUTE // 60 + 1) * 60, 0)
    kept = replace(
        world.snapshot, cells={(EPOCH, grain.start(NOW_MINUTE)): grain.cells(world.snapshot.merged())}, grain=grain
    )
    assert world.verdict(kept).exact
    wrong = changed(kept, CellKey(grain.start(NOW_MINUTE), "all", ""), cell_of(5))
    assert differences(world.verdict(wrong))[0][2:] == (5, 2)
