"""The fold of one partition is a function of the log alone.

However the log is cut into batches, and wherever a worker starts again, the same position, cells,
counters and dead letters come out; and they are those of the truth ledger, which shares no code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.cells import Cells, merge
from core.contract import UNSTAMPED_MS
from core.delta import DeadLetter, Delta
from core.ledger import Ledger
from core.position import PartitionKey, Position
from core.rules import Rules
from tests.support.events import CLICKS_0, NOW_MS, SALES_0, Record, as_bytes, click, records, sale
from tests.support.shop import SHOP, Claim, encode, fold_of
from tests.support.shop_events import CLICKS

EPOCH_MS = 1_000
RUN = "run"


class Step(NamedTuple):
    """What comes next in a log, relative to what came before."""

    #: number of the event: repeated numbers are duplicates
    number: int
    #: ms from the append time before; negative where the broker's clock went back
    append: int
    #: event time minus append time of the event's first record, in ms
    ahead: int
    #: the record is rejected whatever its number
    broken: bytes | str | None
    #: offsets without a record before this one
    gap: int


STEPS = st.builds(
    Step,
    number=st.integers(0, 6) | st.integers(7, 200),
    append=st.sampled_from([0, 0, 0, 1, 10, 300, 999, 1000, 1001, 2500, 7000, -1, -400, -1500, -5000]),
    ahead=st.sampled_from([0, 0, -1, -50, -999, -2000, -2001, -4000, -61_000, -600_000, 1, 500, 30_000, 299_000]),
    broken=st.sampled_from(["", "", "", "", "", b"", b"\xff", None, "future", "no id", "unstamped"]),
    gap=st.sampled_from([0, 0, 0, 0, 1, 3]),
)
LOGS = st.lists(STEPS, max_size=8) | st.lists(STEPS, min_size=20, max_size=45)
SOURCES = st.sampled_from([CLICKS_0, SALES_0])
RULES = st.builds(
    Rules, epoch_ms=st.just(EPOCH_MS), horizon=st.integers(0, 3), lateness_ms=st.sampled_from([0, 2000, 60_000])
)
CUTS = st.lists(st.integers(0, 120), max_size=6)


@dataclass
class Log:
    """Records of one partition, each with the header that its producer would write."""

    source: PartitionKey
    records: list[Record] = field(default_factory=list)
    headers: list[bytes] = field(default_factory=list)
    end: int = 0

    def between(self, start: int, end: int) -> list[Record]:
        return [record for record in self.records if start <= record.offset < end]

    def offset_at(self, time_ms: int) -> int | None:
        """As Kafka's look-up by time: the first offset at or after it."""
        return next((r.offset for r in self.records if r.timestamp >= time_ms), None)


@dataclass
class Result:
    """Everything that a fold gives."""

    position: Position
    cells: dict[int, Cells] = field(default_factory=dict)
    users: dict[tuple[int, int], set[str]] = field(default_factory=dict)
    quality: Counter[tuple[int, str]] = field(default_factory=Counter)
    letters: list[DeadLetter] = field(default_factory=list)

    def take(self, delta: Delta) -> None:
        for epoch, cells in delta.cells().items():
            self.cells[epoch] = merge(self.cells.get(epoch, {}), cells)
        for epoch, minute, users in delta.users():
            self.users.setdefault((epoch, minute), set()).update(users)
        for epoch, counters in delta.quality.items():
            for name, number in counters.items():
                assert number
                self.quality[epoch, name] += number
        self.letters += delta.dead_letters


def log_of(source: PartitionKey, steps: Iterable[Step]) -> Log:
    """The log that the steps describe, with every record's rightful claim."""
    log = Log(source)
    append_ms = NOW_MS
    first_time: dict[int, int] = {}
    for at, step in enumerate(steps):
        append_ms += step.append
        log.end += step.gap
        value, claim = _spoiled(source, step, at, append_ms) or _event(source, step, append_ms, first_time)
        log.records.append(Record(log.end, UNSTAMPED_MS if step.broken == "unstamped" else append_ms, value))
        log.headers.append(encode(claim))
        log.end += 1
    return log


def _spoiled(source: PartitionKey, step: Step, at: int, append_ms: int) -> tuple[bytes | None, Claim] | None:
    number = 1_000_000 + at
    valid = click if source.topic == CLICKS else sale
    if step.broken == "":
        return None
    if step.broken == "future":
        return as_bytes(valid(append_ms + 301_000)), Claim(RUN, number, "rejected", "from_future")
    if step.broken == "unstamped":
        # a valid event, but nobody knows when it was appended; now and then it is no JSON either
        value = as_bytes(valid(append_ms)) if at % 3 else b"{"
        return value, Claim(RUN, number, "rejected", "not_stamped")
    if step.broken == "no id":
        document = valid(append_ms)
        del document["id"]
        return as_bytes(document), Claim(RUN, number, "rejected", "missing_field")
    assert not isinstance(step.broken, str)
    return step.broken, Claim(RUN, number, "rejected", "not_json")


def _event(source: PartitionKey, step: Step, append_ms: int, first_time: dict[int, int]) -> tuple[bytes, Claim]:
    number = step.number
    repeated = number in first_time
    time_ms = first_time.setdefault(number, append_ms + step.ahead)
    if time_ms > append_ms + 300_000:
        # the clock went back below the grace: not what a producer can know, so never an event
        time_ms = first_time[number] = append_ms
    names = {
        "id": f"event-{number}",
        "user_id": f"user-{number % 4}",
        "campaign_id": f"campaign-{number % 3}",
        "product_id": f"product-{number % 5}",
        "country": ("DE", "FR")[number % 2],
    }
    claim = {
        "run": RUN,
        "number": number,
        "verdict": "duplicate" if repeated else "accepted",
        "time_ms": time_ms,
        "campaign": names["campaign_id"],
        "product": names["product_id"],
        "country": names["country"],
        "user": names["user_id"],
    }
    if source.topic == CLICKS:
        return as_bytes(click(time_ms, **names)), Claim(**claim, clicks=1)
    document = sale(time_ms, **names, quantity=number % 9 + 1, unit_price_cents=number * 7)
    units = number % 9 + 1
    return as_bytes(document), Claim(**claim, sales=1, units=units, revenue_cents=units * number * 7)


def edges(cuts: Sequence[int], start: int, end: int) -> list[tuple[int, int]]:
    """Stretches of the log from `start` to `end` with the given cuts between them."""
    marks = [start, *sorted({cut for cut in cuts if start < cut < end}), end]
    return list(pairwise(marks))


def folded(log: Log, rules: Rules, cuts: Sequence[int] = (), *, together: bool = False) -> Result:
    """Stretch by stretch; each into a delta of its own, or all `together` into one."""
    fold = fold_of(log.source, Position(), rules)
    result = Result(fold.position)
    delta = Delta()
    for start, end in edges(cuts, 0, log.end):
        fold.fold(log.between(start, end), end, delta)
        assert fold.position.next == end
        assert fold.position.conserved
        if not together:
            result.take(delta)
            delta = Delta()
    result.take(delta)
    result.position = fold.position
    return result


@given(SOURCES, LOGS, RULES, CUTS)
def test_any_cut_into_batches_gives_the_same(
    source: PartitionKey, steps: list[Step], rules: Rules, cuts: list[int]
) -> None:
    log = log_of(source, steps)
    assert folded(log, rules, cuts) == folded(log, rules, cuts, together=True) == folded(log, rules)


@given(SOURCES, LOGS, RULES)
def test_record_by_record_gives_the_same(source: PartitionKey, steps: list[Step], rules: Rules) -> None:
    log = log_of(source, steps)
    assert folded(log, rules, range(log.end)) == folded(log, rules)


@given(SOURCES, LOGS, RULES, CUTS)
@example(
    # the broker's clock goes back right before the stop: the epoch of the position is a running maximum
    CLICKS_0,
    [Step(1, 0, 0, "", 0), Step(2, 2500, 0, "", 0), Step(3, -1500, 0, "", 0), Step(1, 1600, 0, "", 0)],
    Rules(EPOCH_MS, 3, 2000),
    [],
)
def test_starting_again_anywhere_gives_the_same_rest(
    source: PartitionKey, steps: list[Step], rules: Rules, cuts: list[int]
) -> None:
    log = log_of(source, steps)
    for stop in range(log.end):
        uninterrupted = fold_of(log.source, Position(), rules)
        uninterrupted.fold(log.between(0, stop), stop, Delta())
        stored = uninterrupted.position.encode()
        rest = Delta()
        uninterrupted.fold(log.between(stop, log.end), log.end, rest)

        again = fold_of(log.source, Position.decode(stored), rules)
        found = log.offset_at(rules.warm_up_from(again.position.epoch))
        cursor = stop if found is None else min(found, stop)
        expected, replayed = Result(uninterrupted.position), Result(again.position)
        # batches of a reader that was sent back may span the position
        for start, end in edges(cuts, cursor, log.end):
            delta = Delta()
            again.fold(log.between(start, end), end, delta)
            replayed.take(delta)
        expected.take(rest)
        replayed.position = again.position
        assert replayed == expected


@given(SOURCES, LOGS, RULES, CUTS)
def test_it_counts_what_the_truth_ledger_says(
    source: PartitionKey, steps: list[Step], rules: Rules, cuts: list[int]
) -> None:
    log = log_of(source, steps)
    ledger = Ledger(SHOP, epoch_ms=rules.epoch_ms, horizon=rules.horizon, lateness_ms=rules.lateness_ms)
    for record, header in zip(log.records, log.headers, strict=True):
        ledger.add(source, record.offset, record.timestamp, header)
    for _, end in edges(cuts, 0, log.end):
        result = folded(Log(source, log.between(0, end), end=end), rules)
        for floor in (0, result.position.epoch, result.position.epoch - 2):
            truth = ledger.horizon({source: end}, floor)
            assert truth.cells() == merge(*(c for e, c in result.cells.items() if e >= floor))
            counters: Counter[str] = Counter()
            for (epoch, name), number in result.quality.items():
                if epoch >= floor:
                    counters[name] += number
            assert truth.counters() == dict(counters)


@given(LOGS, RULES)
def test_the_duplicate_memory_is_that_of_the_horizon(steps: list[Step], rules: Rules) -> None:
    log = log_of(CLICKS_0, steps)
    fold = fold_of(log.source, Position(), rules)
    fold.fold(log.records, log.end, Delta())
    epoch = -1
    accepted: list[tuple[int, int]] = []
    for record, step in zip(log.records, steps, strict=True):
        epoch = max(epoch, rules.epoch_of(record.timestamp))
        if step.broken == "":
            accepted.append((epoch, step.number))
    oldest = fold.position.epoch - rules.horizon
    assert fold.remembered == len({(e, n) for e, n in accepted if e >= oldest})


def fold_all(values: Sequence[object], append_ms: int = NOW_MS, **rules: int) -> tuple[Position, Delta]:
    fold = fold_of(CLICKS_0, Position(), Rules(**rules))
    delta = Delta()
    fold.fold(records(values, append_ms=append_ms), len(values), delta)
    return fold.position, delta


def test_a_stretch_without_records_is_counted_as_gaps() -> None:
    fold = fold_of(CLICKS_0, Position(next=5, first=5, epoch=3, newest_ms=9, appended_ms=8), Rules())
    delta = Delta()
    fold.fold([], 9, delta)
    assert fold.position == Position(next=9, first=5, epoch=3, newest_ms=9, appended_ms=8, gaps=4)
    assert not delta.quality


def test_records_below_the_position_are_not_counted_again() -> None:
    fold = fold_of(CLICKS_0, Position(next=2, epoch=NOW_MS // 30_000, accepted=2), Rules())
    delta = Delta()
    fold.fold(records([click(id="a"), click(id="b"), click(id="a"), click(id="c")]), 4, delta)
    assert (fold.position.accepted, fold.position.duplicates) == (3, 1)
    assert sum(cell[0] for cells in delta.cells().values() for cell in cells.values()) == 4


def test_a_batch_wholly_below_the_position_moves_nothing() -> None:
    start = Position(next=10, epoch=NOW_MS // 30_000, accepted=10)
    fold = fold_of(CLICKS_0, start, Rules())
    delta = Delta()
    fold.fold(records([click(id="a")]), 4, delta)
    assert fold.position == start
    assert fold.remembered == 1
    assert not delta.quality


@pytest.mark.parametrize(("behind", "late"), [(60_000, 0), (60_001, 1)])
def test_an_event_is_late_below_the_watermark_and_still_counted(behind: int, late: int) -> None:
    position, delta = fold_all([click(NOW_MS, id="a"), click(NOW_MS - behind, id="b")], lateness_ms=60_000)
    assert position.accepted == 2
    assert delta.quality[NOW_MS // 30_000]["late"] == late


def test_an_event_from_the_future_does_not_make_others_late() -> None:
    position, delta = fold_all([click(NOW_MS + 299_000, id="a"), click(NOW_MS - 30_000, id="b")], lateness_ms=60_000)
    assert position.newest_ms == NOW_MS
    assert delta.quality[NOW_MS // 30_000]["late"] == 0


def test_a_late_duplicate_is_a_duplicate_and_not_late() -> None:
    _, delta = fold_all([click(NOW_MS - 90_000, id="b"), click(id="a"), click(NOW_MS - 90_000, id="b")])
    assert delta.quality[NOW_MS // 30_000] == {"accepted": 2, "duplicates": 1}


def test_the_same_id_in_another_partition_is_no_duplicate() -> None:
    delta = Delta()
    for source in (CLICKS_0, PartitionKey("clicks", 1)):
        fold_of(source, Position(), Rules()).fold(records([click()]), 1, delta)
    assert delta.quality[NOW_MS // 30_000] == {"accepted": 2}


def test_a_rejected_record_does_not_enter_the_duplicate_memory() -> None:
    _, delta = fold_all([click(country="de"), click()])
    assert delta.quality[NOW_MS // 30_000] == {"rejected:bad_format": 1, "accepted": 1}


def test_more_records_than_a_slice_are_folded_alike() -> None:
    values: list[Any] = [click(id=str(number % 4500)) for number in range(5_000)]
    position, delta = fold_all(values)
    assert (position.accepted, position.duplicates) == (4_500, 500)
    (cells,) = delta.cells().values()
    assert sum(cell[0] for key, cell in cells.items() if key.dimension == "all") == 4_500
