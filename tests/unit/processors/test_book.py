"""The partition book: where each partition is read from after an assignment."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from adapters.speed.memory import MemoryStore
from adapters.speed.port import Outcome, Step
from core.delta import Delta
from core.errors import ConfigurationError, UnavailableError
from core.position import PartitionKey, Position
from core.rules import Rules
from processors.book import Book
from tests.support.events import CLICKS_0, CLICKS_1, SALES_0, at
from tests.support.shop import KERNEL, SHOP
from tests.support.speed_stores import apply

RULES = Rules(epoch_ms=1_000, horizon=2)


class Log:
    """Offsets of a log by time, as Kafka would say them."""

    def __init__(
        self, starts: Mapping[PartitionKey, int] | None = None, found: Mapping[PartitionKey, int | None] | None = None
    ) -> None:
        self.starts = dict(starts or {})
        self.found = dict(found or {})
        self.asked: list[dict[PartitionKey, int]] = []
        self.away = False

    async def offsets_at(self, times_ms: Mapping[PartitionKey, int]) -> tuple[dict[Any, Any], dict[Any, int]]:
        if self.away:
            raise UnavailableError("Kafka is away")
        self.asked.append(dict(times_ms))
        return (
            {source: self.found.get(source, 0) for source in times_ms},
            {source: self.starts.get(source, 0) for source in times_ms},
        )

    async def ends(self, *_: object) -> dict[PartitionKey, int]:
        raise AssertionError("the book asks for no ends")


class Away(MemoryStore):
    """A store that is away now and then."""

    away = False

    async def positions(self, sources: Iterable[PartitionKey]) -> dict[PartitionKey, str | None]:
        if self.away:
            raise UnavailableError("Redis is away")
        return await super().positions(sources)


@pytest.fixture
def store() -> Away:
    return Away(SHOP)


@pytest.fixture
def book(store: Away) -> Book:
    return Book(store, RULES, KERNEL, "log-1")


def put(store: MemoryStore, source: PartitionKey, text: str, old: str = "") -> None:
    assert apply(store, Step(source, old, text, Delta())) is Outcome.APPLIED


def stored(store: MemoryStore) -> dict[PartitionKey, Position]:
    return {s: Position.decode(text) for s, text in asyncio.run(store.all_positions()).items()}


def restore(book: Book, log: Log, *sources: PartitionKey) -> dict[PartitionKey, int]:
    return asyncio.run(book.restore(sources, log))


def test_a_new_view_starts_at_the_logs_start_and_says_so(book: Book, store: Away) -> None:
    with capture_logs() as logs:
        plan = restore(book, Log({CLICKS_0: 40, CLICKS_1: 0}), CLICKS_0, CLICKS_1)
    assert plan == {CLICKS_0: 40, CLICKS_1: 0}
    assert stored(store) == {CLICKS_0: Position(next=40, first=40), CLICKS_1: Position()}
    assert [entry["partition"] for entry in logs if "log's start" in entry["event"]] == ["clicks:0", "clicks:1"]


def test_a_known_position_is_read_from_where_its_duplicate_memory_begins(book: Book, store: Away) -> None:
    put(store, CLICKS_0, at(100, epoch=50))
    log = Log(found={CLICKS_0: 60})
    assert restore(book, log, CLICKS_0) == {CLICKS_0: 60}
    assert log.asked == [{CLICKS_0: RULES.warm_up_from(50)}]
    held = book[CLICKS_0]
    assert held is not None
    assert held.stored == held.fold.position.encode() == at(100, epoch=50)


@pytest.mark.parametrize(
    ("found", "log_start", "expected"),
    [
        # no record is as young as the memory must be
        (None, 0, 100),
        # records after the position only
        (130, 0, 100),
        # the log begins later than the memory
        (60, 80, 80),
    ],
)
def test_warming_up_never_passes_the_position_or_the_logs_start(
    book: Book, store: Away, found: int | None, log_start: int, expected: int
) -> None:
    put(store, CLICKS_0, at(100, epoch=50))
    assert restore(book, Log({CLICKS_0: log_start}, {CLICKS_0: found}), CLICKS_0) == {CLICKS_0: expected}
    assert stored(store)[CLICKS_0].next == 100


def test_records_that_retention_removed_are_counted_as_lost_and_said_loudly(book: Book, store: Away) -> None:
    put(store, CLICKS_0, at(100, epoch=50))
    with capture_logs() as logs:
        plan = restore(book, Log({CLICKS_0: 130}, {CLICKS_0: 130}), CLICKS_0)
    assert plan == {CLICKS_0: 130}
    position = stored(store)[CLICKS_0]
    assert (position.next, position.lost, position.accepted, position.epoch) == (130, 30, 100, 50)
    assert position.conserved
    (entry,) = [entry for entry in logs if entry["log_level"] == "error"]
    assert (entry["partition"], entry["first"], entry["last"], entry["lost"]) == ("clicks:0", 100, 129, 30)


def test_losses_add_up(book: Book, store: Away) -> None:
    put(store, CLICKS_0, at(100))
    restore(book, Log({CLICKS_0: 110}, {CLICKS_0: 110}), CLICKS_0)
    restore(Book(store, RULES, KERNEL, "log-1"), Log({CLICKS_0: 115}, {CLICKS_0: 115}), CLICKS_0)
    assert stored(store)[CLICKS_0].lost == 15
    assert stored(store)[CLICKS_0].conserved


def test_a_clean_partition_is_used_again_without_warming_up(book: Book, store: Away) -> None:
    put(store, CLICKS_0, at(100, epoch=50))
    restore(book, Log(found={CLICKS_0: 100}), CLICKS_0)
    held = book[CLICKS_0]
    log = Log(found={CLICKS_0: 60})
    assert restore(book, log, CLICKS_0) == {CLICKS_0: 100}
    assert book[CLICKS_0] is held
    assert log.asked == []


def test_a_dirty_partition_is_never_used_again(book: Book, store: Away) -> None:
    put(store, CLICKS_0, at(100, epoch=50))
    restore(book, Log(found={CLICKS_0: 100}), CLICKS_0)
    held = book[CLICKS_0]
    assert held is not None
    held.clean = False
    assert restore(book, Log(found={CLICKS_0: 60}), CLICKS_0) == {CLICKS_0: 60}
    assert book[CLICKS_0] is not held


def test_a_partition_that_another_worker_moved_is_never_used_again(book: Book, store: Away) -> None:
    put(store, CLICKS_0, at(100, epoch=50))
    restore(book, Log(found={CLICKS_0: 100}), CLICKS_0)
    held = book[CLICKS_0]
    put(store, CLICKS_0, at(120, epoch=51), old=at(100, epoch=50))
    assert restore(book, Log(found={CLICKS_0: 70}), CLICKS_0) == {CLICKS_0: 70}
    assert book[CLICKS_0] is not held
    assert book[CLICKS_0].stored == at(120, epoch=51)  # type: ignore[union-attr]


def test_a_partition_at_the_same_offset_of_another_history_is_never_used_again(book: Book, store: Away) -> None:
    put(store, CLICKS_0, at(100, epoch=50))
    restore(book, Log(found={CLICKS_0: 100}), CLICKS_0)
    held = book[CLICKS_0]
    store.flush()
    put(store, CLICKS_0, Position(next=100, epoch=50, rejected=100).encode())
    restore(book, Log(found={CLICKS_0: 60}), CLICKS_0)
    assert book[CLICKS_0] is not held


def test_a_partition_that_is_still_warming_up_is_not_used_again(book: Book, store: Away) -> None:
    put(store, CLICKS_0, at(100, epoch=50))
    restore(book, Log(found={CLICKS_0: 60}), CLICKS_0)
    held = book[CLICKS_0]
    assert held is not None
    assert held.cursor == 60
    assert restore(book, Log(found={CLICKS_0: 61}), CLICKS_0) == {CLICKS_0: 61}
    assert book[CLICKS_0] is not held


def test_a_partition_that_went_and_came_back_is_opened_anew(book: Book, store: Away) -> None:
    put(store, CLICKS_0, at(100, epoch=50))
    restore(book, Log(found={CLICKS_0: 100}), CLICKS_0)
    restore(book, Log(), SALES_0)
    assert set(book.held) == {SALES_0}
    assert restore(book, Log(found={CLICKS_0: 60}), CLICKS_0) == {CLICKS_0: 60}


def test_a_store_that_was_emptied_is_counted_again_from_the_logs_start(book: Book, store: Away) -> None:
    put(store, CLICKS_0, at(100, epoch=50))
    restore(book, Log(found={CLICKS_0: 100}), CLICKS_0)
    store.flush()
    assert restore(book, Log(), CLICKS_0) == {CLICKS_0: 0}
    assert stored(store) == {CLICKS_0: Position()}


@pytest.mark.parametrize("who", ["store", "log"])
def test_where_a_server_is_away_nothing_may_be_counted(book: Book, store: Away, who: str) -> None:
    put(store, CLICKS_0, at(100, epoch=50))
    log = Log()
    store.away, log.away = who == "store", who == "log"
    with pytest.raises(UnavailableError):
        restore(book, log, CLICKS_0)
    assert book.restores == 0
    assert book[CLICKS_0] is None
    store.away = log.away = False
    assert restore(book, log, CLICKS_0) == {CLICKS_0: 0}
    assert book.restores == 1


def test_a_restore_that_fails_leaves_nothing_that_could_be_counted_on(book: Book, store: Away) -> None:
    put(store, CLICKS_0, at(100, epoch=50))
    restore(book, Log(found={CLICKS_0: 60}), CLICKS_0)
    log = Log()
    log.away = True
    with pytest.raises(UnavailableError):
        restore(book, log, CLICKS_0)
    assert book.held == {}


def test_a_position_that_changes_under_the_restore_is_tried_again_later(store: Away) -> None:
    class Racing(Away):
        async def apply(self, steps: Sequence[Step]) -> dict[PartitionKey, Outcome]:
            return dict.fromkeys((step.partition for step in steps), Outcome.CONFLICT)

    book = Book(Racing(SHOP), RULES, KERNEL, "log-1")
    with pytest.raises(UnavailableError, match="the position of clicks:0 changed while it was restored"):
        restore(book, Log(), CLICKS_0)
    assert book[CLICKS_0] is None


def test_a_view_of_another_log_or_other_rules_is_refused_before_anything_is_counted(store: Away) -> None:
    restore(Book(store, RULES, KERNEL, "log-1"), Log(), CLICKS_0)
    for rules, identity in ((Rules(epoch_ms=2_000, horizon=2), "log-1"), (RULES, "log-2")):
        book = Book(store, rules, KERNEL, identity)
        with pytest.raises(ConfigurationError):
            restore(book, Log(), CLICKS_0)
        assert book[CLICKS_0] is None


def test_forgetting_makes_every_batch_stale_and_keeps_what_is_held(book: Book, store: Away) -> None:
    put(store, CLICKS_0, at(100, epoch=50))
    restore(book, Log(found={CLICKS_0: 100}), CLICKS_0)
    book.generation = 7
    held = book[CLICKS_0]
    book.forget()
    assert book.generation == -1
    assert book[CLICKS_0] is held
