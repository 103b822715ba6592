from __future__ import annotations

import asyncio
from collections import Counter
from types import SimpleNamespace

import pytest

from adapters.speed.memory import MemoryStore
from adapters.speed.port import Outcome, Snapshot, Step
from bench import view_filler
from bench.history import History
from bench.rewriting import product_name
from bench.view_filler import ViewFiller
from core.cells import MINUTE_MS
from core.errors import FourfoldError
from core.position import PartitionKey
from modes.settings import Settings
from tests.support.shop import SHOP

SOURCES = [PartitionKey(topic, number) for topic in ("clicks", "sales") for number in (0, 1)]
HISTORY = History(products=130, start=29_000_000, epoch_ms=30_000, partitions=2, seed=7)
SETTINGS = Settings(mode="kappa", job="v1", _env_file=None)  # type: ignore[call-arg]


class Store(MemoryStore):
    """The twin, which merges nothing."""

    refuses = False
    settled = 0

    async def settle(self) -> None:
        self.settled += 1

    async def apply(self, steps: list[Step]) -> dict[PartitionKey, Outcome]:
        if self.refuses:
            return {step.partition: Outcome.CONFLICT for step in steps}
        return await super().apply(steps)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    made = Store(SHOP)
    topics = SimpleNamespace(states=dict, partitions=lambda: SOURCES)
    monkeypatch.setattr(view_filler, "speed_sink", lambda *_, **__: made)
    monkeypatch.setattr(view_filler, "job_start", lambda _: "")
    monkeypatch.setattr(view_filler, "topics", lambda _: topics)
    return made


@pytest.fixture
def filler(store: Store) -> ViewFiller:
    return ViewFiller(SETTINGS, HISTORY)


def read(store: Store) -> Snapshot:
    return store.snapshot()


def test_the_view_has_what_the_filler_says(store: Store, filler: ViewFiller):
    filler.fill(3, lambda _: None)
    found = read(store)
    assert dict(zip(SHOP.measures, found.totals["all", ""], strict=True)) == dict(filler.filled.sums)
    assert filler.filled.events == filler.filled.sums["clicks"] + filler.filled.sums["sales"]
    clicks = {value: cell[0] for (dimension, value), cell in found.totals.items() if dimension == "product"}
    assert clicks == {product_name(number): count for number, count in filler.filled.clicks.items()}


def test_every_minute_has_a_cell_of_each_product(store: Store, filler: ViewFiller):
    filler.fill(3, lambda _: None)
    minutes = Counter(key.minute for key in read(store).merged() if key.dimension == "product")
    assert minutes == {29_000_000: 130, 29_000_001: 130, 29_000_002: 130}


def test_positions_account_for_every_event(store: Store, filler: ViewFiller):
    filler.fill(2, lambda _: None)
    positions = read(store).positions
    assert positions.keys() == set(SOURCES)
    assert all(position.conserved and position.accepted for position in positions.values())
    assert sum(position.next for position in positions.values()) == filler.filled.events
    end_ms = 29_000_002 * MINUTE_MS
    assert {position.newest_ms for position in positions.values()} == {end_ms - 1}
    assert {position.epoch for position in positions.values()} == {end_ms // 30_000 - 1}


def test_it_goes_on_from_where_it_was(store: Store, filler: ViewFiller):
    told: list[int] = []
    filler.fill(0, lambda filled: told.append(filled.minutes))
    filler.fill(1, lambda filled: told.append(filled.minutes))
    filler.fill(3, lambda filled: told.append(filled.minutes))
    assert told == [1, 2, 3]
    assert store.settled >= 3
    step_by_step = read(store).merged()
    store.flush()
    at_once = ViewFiller(SETTINGS, HISTORY)
    at_once.fill(3, lambda _: None)
    assert read(store).merged() == step_by_step
    assert at_once.filled == filler.filled


def test_a_step_that_is_not_taken_is_no_filling(store: Store, filler: ViewFiller):
    store.refuses = True
    with pytest.raises(FourfoldError, match="does not take"):
        filler.fill(1, lambda _: None)


def test_begun_only(store: Store, filler: ViewFiller):
    filler.fill(0, lambda _: None)
    assert read(store).positions == {}
    assert asyncio.run(store.all_positions()) == {}
