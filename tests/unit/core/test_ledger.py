"""The truth ledger: at any vector it says what a list of all claims would."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cells import Cell, CellKey, Cells, merge
from core.ledger import UNAUDITED, ForgottenError, Ledger
from core.position import PartitionKey
from tests.support.events import CLICKS_0, CLICKS_1, NOW_MINUTE, NOW_MS
from tests.support.shop import SHOP, Claim, cell_of, encode

EPOCH_MS = 1_000
NOW = NOW_MS // EPOCH_MS
LATENESS_MS = 2_000


class Said(NamedTuple):
    """One record of the log: where it is, when it was appended, what its producer says."""

    source: PartitionKey
    offset: int
    append_ms: int
    claim: Claim | None


CLAIMS = st.none() | st.builds(
    lambda number, verdict, behind, units: Claim(
        "run",
        number,
        verdict,
        reason="not_json" if verdict == "rejected" else "",
        time_ms=NOW_MS - behind,
        clicks=1 if units == 0 else 0,
        sales=1 if units else 0,
        units=units,
        revenue_cents=units * 125,
        campaign=f"c{number % 2}",
        product=f"p{number % 3}",
        country="DE",
    ),
    st.sampled_from([0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 1_023, 1_024, 2**50]),
    st.sampled_from(["accepted", "accepted", "accepted", "rejected"]),
    st.sampled_from([0, 100, 1_999, 2_000, 2_001, 61_000]),
    st.integers(0, 3),
)
STEPS = st.tuples(
    st.sampled_from([CLICKS_0, CLICKS_1]),
    st.sampled_from([1, 1, 1, 2]),
    st.sampled_from([0, 0, 300, 1_000, 2_500, -700]),
    CLAIMS,
)


def log_of(steps: list[tuple[PartitionKey, int, int, Claim | None]]) -> list[Said]:
    ends: Counter[PartitionKey] = Counter()
    appended = NOW_MS
    log = []
    for source, advance, later, claim in steps:
        appended += later
        log.append(Said(source, ends[source], appended, claim))
        ends[source] += advance
    return log


LOGS = (st.lists(STEPS, max_size=6) | st.lists(STEPS, min_size=20, max_size=40)).map(log_of)


def ledger_of(log: list[Said], horizon: int = 1) -> Ledger:
    ledger = Ledger(SHOP, epoch_ms=EPOCH_MS, horizon=horizon, lateness_ms=LATENESS_MS)
    for said in log:
        ledger.add(said.source, said.offset, said.append_ms, None if said.claim is None else encode(said.claim))
    return ledger


def naive(
    log: list[Said], vector: dict[PartitionKey, int], floor: int, horizon: int | None
) -> tuple[Cells, dict[str, int]]:
    """Cells and counters by looking at every pair of records; `horizon` None: the ideal truth."""
    epochs: dict[PartitionKey, int] = {}
    newest: dict[PartitionKey, int] = {}
    parts: list[Cells] = []
    counters: Counter[str] = Counter()
    before: list[tuple[PartitionKey, int, int]] = []
    for said in log:
        epoch = max(epochs.get(said.source, 0), said.append_ms // EPOCH_MS)
        epochs[said.source] = epoch
        claim = said.claim
        shown = said.source in vector and said.offset < vector[said.source] and epoch >= floor
        if claim is None:
            counters[UNAUDITED] += shown
            continue
        if claim.verdict == "rejected":
            counters["rejected:not_json"] += shown
            continue
        if horizon is None:
            repeated = any(number == claim.number for _, number, _ in before)
        else:
            repeated = any(
                (source, number) == (said.source, claim.number) and epoch - at <= horizon
                for source, number, at in before
            )
        before.append((said.source, claim.number, epoch))
        late = claim.time_ms < newest.get(said.source, 0) - LATENESS_MS
        newest[said.source] = max(newest.get(said.source, 0), min(claim.time_ms, said.append_ms))
        if not shown:
            continue
        if repeated:
            counters["duplicates"] += 1
            continue
        counters["accepted"] += 1
        counters["late"] += late
        cell = cell_of(claim.clicks, claim.sales, claim.units, claim.revenue_cents)
        minute = claim.time_ms // 60_000
        where = [("all", ""), ("campaign", claim.campaign), ("product", claim.product), ("country", claim.country)]
        parts.append({CellKey(minute, *place): cell for place in where})
    return merge(*parts), {name: number for name, number in counters.items() if number}


def test_a_merged_view_is_ideal_below_the_cut_and_by_the_horizon_from_it_on() -> None:
    ledger = Ledger(SHOP, epoch_ms=1_000, horizon=0, lateness_ms=LATENESS_MS)
    told = encode(Claim("run", 1, "accepted", time_ms=5_000, clicks=1))
    for offset, second in enumerate((5, 6, 7)):
        ledger.add(CLICKS_0, offset, second * 1_000, told)
    vector = {CLICKS_0: 3}
    clicks = [ledger.expected(vector, cut).totals()["all", ""][0] for cut in (0, 6, 7, 8)]
    assert clicks == [3, 3, 2, 1]
    assert ledger.expected(vector, 0).counters() == ledger.horizon(vector).counters()
    assert ledger.expected(vector, 8).counters() == ledger.ideal(vector).counters()
    assert ledger.expected(vector, 7).counters() == {"accepted": 2, "duplicates": 1}


@pytest.mark.parametrize(("log_start", "sound_from"), [(0, 0), (3, 7)])
def test_a_log_that_begins_at_its_beginning_is_whole_wherever_its_first_record_is(
    log_start: int, sound_from: int
) -> None:
    # an aborted transaction may come before it
    ledger = Ledger(SHOP, epoch_ms=1_000, horizon=1, lateness_ms=LATENESS_MS)
    ledger.begins(CLICKS_0, log_start)
    ledger.add(CLICKS_0, 3, 5_000, None)
    assert ledger.sound_from == sound_from


def test_what_is_settled_gives_the_same_totals_and_counters() -> None:
    whole, settled = (Ledger(SHOP, epoch_ms=1_000, horizon=0, lateness_ms=LATENESS_MS) for _ in range(2))

    def add(offset: int) -> None:
        told = encode(
            Claim("run", offset % 7, "accepted", time_ms=60_000 * (offset % 5), clicks=1, campaign=str(offset % 2))
        )
        for ledger in (whole, settled):
            ledger.add(CLICKS_0, offset, 500 * offset, told)

    for offset in range(40):
        add(offset)
        vector, cut = {CLICKS_0: offset + 1}, offset // 4
        told, expected = settled.expected(vector, cut), whole.expected(vector, cut)
        assert (told.totals(), told.counters()) == (expected.totals(), expected.counters())
        assert settled.ideal(vector).counters() == whole.ideal(vector).counters()
        settled.forget(vector)
        settled.settle(cut)
    with pytest.raises(ForgottenError):
        settled.expected(vector, 3)


VECTORS = st.fixed_dictionaries({}, optional={CLICKS_0: st.integers(0, 50), CLICKS_1: st.integers(0, 50)})
FLOORS = st.sampled_from([0, NOW, NOW + 1, NOW + 4, NOW + 100])


@given(LOGS, VECTORS, FLOORS, st.integers(0, 3))
def test_the_horizon_truth_is_that_of_the_naive_reference(
    log: list[Said], vector: dict[PartitionKey, int], floor: int, horizon: int
) -> None:
    truth = ledger_of(log, horizon).horizon(vector, floor)
    assert (truth.cells(), truth.counters()) == naive(log, vector, floor, horizon)


@given(LOGS, VECTORS, FLOORS)
def test_the_ideal_truth_is_that_of_the_naive_reference(
    log: list[Said], vector: dict[PartitionKey, int], floor: int
) -> None:
    truth = ledger_of(log).ideal(vector, floor)
    assert (truth.cells(), truth.counters()) == naive(log, vector, floor, None)


@given(LOGS, VECTORS)
def test_totals_are_the_cells_summed_over_minutes(log: list[Said], vector: dict[PartitionKey, int]) -> None:
    truth = ledger_of(log).horizon(vector)
    sums: dict[tuple[str, str], Cell] = {}
    for key, cell in truth.cells().items():
        place = (key.dimension, key.value)
        sums[place] = sums.get(place, cell_of()).plus(cell)
    assert truth.totals() == sums


@given(LOGS, VECTORS, VECTORS, FLOORS)
def test_forgetting_keeps_every_answer_from_there_on(
    log: list[Said], forgotten: dict[PartitionKey, int], more: dict[PartitionKey, int], floor: int
) -> None:
    whole, short = ledger_of(log), ledger_of(log)
    short.forget(forgotten, floor)
    vector = {s: forgotten.get(s, 0) + more.get(s, 0) for s in (CLICKS_0, CLICKS_1)}
    for kept in (vector, {**vector, **forgotten}):
        for at in {floor, NOW + 100}:
            if at >= floor:
                assert short.ideal(kept, at).cells() == whole.ideal(kept, at).cells()
                assert short.horizon(kept, at).counters() == whole.horizon(kept, at).counters()


@given(LOGS, LOGS, st.integers(0, 30), FLOORS)
def test_what_comes_after_forgetting_is_judged_as_without(
    log: list[Said], later: list[Said], upto: int, floor: int
) -> None:
    ends = {s: max((r.offset for r in log if r.source == s), default=-1) + 1 for s in (CLICKS_0, CLICKS_1)}
    more = [said._replace(offset=said.offset + ends[said.source]) for said in later]
    ledger = ledger_of(log)
    ledger.forget({s: min(upto, end) for s, end in ends.items()}, floor)
    for said in more:
        ledger.add(said.source, said.offset, said.append_ms, None if said.claim is None else encode(said.claim))
    vector = {CLICKS_0: 1000, CLICKS_1: 1000}
    truth = ledger.horizon(vector, floor)
    assert (truth.cells(), truth.counters()) == naive(log + more, vector, floor, 1)


def a_log(count: int, source: PartitionKey = CLICKS_0, start: int = 0) -> list[Said]:
    claims = [Claim("run", n, "accepted", time_ms=NOW_MS, clicks=1, campaign="c", product="p") for n in range(count)]
    return [Said(source, start + n, NOW_MS + n * EPOCH_MS, claim) for n, claim in enumerate(claims)]


def test_asking_below_what_is_forgotten_is_an_error_and_nothing_else_is() -> None:
    ledger = ledger_of(a_log(10))
    ledger.forget({CLICKS_0: 5})
    with pytest.raises(ForgottenError, match="clicks:0 is asked at 4, forgotten below 5"):
        ledger.horizon({CLICKS_0: 4})
    with pytest.raises(ForgottenError):
        ledger.ideal({CLICKS_0: 0})
    assert ledger.horizon({CLICKS_0: 5}).counters() == {"accepted": 5}
    assert ledger.horizon({CLICKS_1: 3}).counters() == {"accepted": 5}


def test_forgetting_less_than_before_changes_nothing() -> None:
    ledger = ledger_of(a_log(10))
    ledger.forget({CLICKS_0: 5})
    ledger.forget({CLICKS_0: 3, CLICKS_1: 7})
    assert ledger.horizon({CLICKS_0: 5}).counters() == {"accepted": 5}
    assert ledger.horizon({CLICKS_0: 10}).counters() == {"accepted": 10}


def test_forgetting_below_a_floor_takes_no_memory_for_old_epochs() -> None:
    ledger = ledger_of(a_log(100))
    ledger.forget({CLICKS_0: 90}, NOW + 95)
    assert all(slot.epoch >= NOW + 95 for slot in ledger._slots.all)
    assert ledger.horizon({CLICKS_0: 100}, NOW + 95).counters() == {"accepted": 5}


def test_a_log_that_begins_with_a_gap_has_forgotten_nothing() -> None:
    ledger = ledger_of(a_log(3, start=7))
    for offset in (0, 3, 7):
        assert ledger.horizon({CLICKS_0: offset}).cells() == {}
    assert ledger.horizon({CLICKS_0: 8}).counters() == {"accepted": 1}


@pytest.mark.parametrize("horizon", [0, 1, 3])
def test_a_log_whose_start_was_removed_is_sound_after_the_horizon(horizon: int) -> None:
    assert ledger_of(a_log(5), horizon).sound_from == 0
    assert ledger_of(a_log(5, start=100), horizon).sound_from == NOW + horizon + 1


def test_an_event_in_two_partitions_counts_once_in_the_ideal_and_twice_in_the_horizon() -> None:
    ledger = ledger_of(a_log(1) + a_log(1, CLICKS_1))
    vector = {CLICKS_0: 1, CLICKS_1: 1}
    assert ledger.ideal(vector).counters() == {"accepted": 1, "duplicates": 1}
    assert ledger.horizon(vector).counters() == {"accepted": 2}
    assert ledger.ideal(vector).cells()[CellKey(NOW_MINUTE, "all", "")] == cell_of(clicks=1)


def test_records_without_a_header_are_not_audited() -> None:
    ledger = ledger_of([Said(CLICKS_0, 0, NOW_MS, None)])
    assert ledger.horizon({CLICKS_0: 1}).counters() == {UNAUDITED: 1}
    assert ledger.horizon({CLICKS_0: 1}).cells() == {}


@given(st.lists(st.binary(max_size=80) | st.sampled_from([b'["r",%d,"accepted"]' % n for n in (-1, 2**63, 10**300)])))
def test_garbage_in_headers_is_not_audited_and_hurts_nobody(headers: list[bytes]) -> None:
    ledger = ledger_of([])
    for offset, header in enumerate(headers):
        ledger.add(CLICKS_0, offset, NOW_MS, header)
    ledger.add(CLICKS_0, len(headers), NOW_MS, encode(a_log(1)[0].claim))  # type: ignore[arg-type]
    counters = ledger.horizon({CLICKS_0: 1000}).counters()
    names = (UNAUDITED, "accepted", "duplicates")
    assert sum(counters.get(name, 0) for name in names) == len(headers) + 1


def test_scattered_numbers_take_little_memory() -> None:
    ledger = ledger_of([])
    for offset in range(1_000):
        header = encode(Claim("run", offset << 40, "accepted"))
        ledger.add(CLICKS_0, offset, NOW_MS, header)
    assert sum(map(len, ledger._seen.values())) <= 4 << 20
