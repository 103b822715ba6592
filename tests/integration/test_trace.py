"""`trace` and `day` against real servers and a real lake."""

from __future__ import annotations

import threading

import pytest
from confluent_kafka import Producer

from modes.catalogue import ENGINES
from modes.day import day
from modes.roles import batch as batch_role
from modes.settings import Settings
from modes.trace import trace
from modes.wiring.lake import view_store
from producers import profile
from producers.emitter import Emitter
from producers.profile import Hour
from producers.record import CLICK, Record
from serving.trace import Verdict
from tests.support.events import as_bytes, click
from tests.support.product import caught_up, worker
from tests.support.shop import cell_of
from tests.support.waiting import until

pytestmark = pytest.mark.integration


def recompute(settings: Settings) -> None:
    batch_role.recompute(settings, ENGINES[0], full=False, accept_loss=False)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(
        update={"mode": "lambda", "epoch_seconds": 0.5, "horizon_epochs": 0, "cut_margin_seconds": 0.1}
    )


def send(settings: Settings, *values: bytes) -> None:
    emitter = Emitter(settings.access.confluent())
    assert emitter.send([Record("clicks", b"u", value, b"", CLICK) for value in values], threading.Event()) == len(
        values
    )
    assert emitter.flush(10) == 0


def covered(settings: Settings, records: int) -> bool:
    recompute(settings)
    current = view_store(settings).current()
    return current is not None and sum(current.cut.vector.values()) >= records


def test_an_event_from_the_archive_to_the_log(settings: Settings) -> None:
    event = as_bytes(click(id="e"))
    send(settings, event, event[:-9])
    until(lambda: covered(settings, 2), within_s=20, what="the batch view to cover both")
    with worker(settings):
        send(settings, event)
        caught_up(settings)
    found = trace(settings, "e")
    assert found is not None
    one, broken, again = found.occurrences
    assert (one.verdict, one.counted_by.view) == (Verdict.ACCEPTED, "batch")
    assert set(one.cells.values()) == {cell_of(clicks=1)}
    assert (broken.verdict, broken.by_id) == (Verdict.REJECTED, False)
    # appended after the cut, and beyond the horizon of this mode
    assert (again.verdict, again.first, again.counted_by.view) == (Verdict.DUPLICATE, one.place, "speed")
    assert again.differs
    assert trace(settings, "nobody") is None


def test_a_small_day(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    small = tuple(Hour(h.records // 100, h.records * 95 // 10_000, h.records * 90 // 10_000) for h in profile.DAY)
    for module in ("producers.profile", "modes.day"):
        monkeypatch.setattr(f"{module}.DAY", small)
    settings = settings.model_copy(update={"day_seconds": 2, "mode": "batch"})
    told = day(settings, recompute=recompute)
    assert told["exact"], told
    assert told["batch_view"]["agrees"] is True
    assert told["total"]["source"] == sum(h.records for h in small)
    total, losses = told["total"], told["losses"]
    assert sum(losses["rejected"].values()) == total["source"] - total["valid"]
    assert losses["duplicates"] == total["valid"] - total["unique"]
    assert told["late"] == 0
    # a stranger's record comes with the next day: the view has it, the funnel has not
    producer = Producer(settings.access.confluent())
    producer.produce("clicks", b"garbage")
    assert producer.flush(10) == 0
    told = day(settings, recompute=recompute)
    assert told["exact"], told
    assert (told["batch_view"]["others"], told["batch_view"]["agrees"]) == (1, None)
