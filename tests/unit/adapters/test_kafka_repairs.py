"""Repairs go where they are read from, however many partitions somebody adds to their topic."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.kafka import repairs
from adapters.kafka.access import KafkaAccess
from adapters.kafka.repairs import Redrive, Repair, keep_repairs
from tests.support.events import CLICKS_0, NOW_MS

REPAIR = Repair(CLICKS_0, 7, NOW_MS, "clicks", b"u1", b"{}", "price", "e1")


class FakeProducer:
    """A client of Kafka that keeps what it is given."""

    def __init__(self, _config: dict[str, Any]) -> None:
        self.sent: list[tuple[str, int]] = []

    def produce(self, topic: str, *, partition: int, **_: object) -> None:
        self.sent.append((topic, partition))

    def __getattr__(self, _name: str) -> Any:
        return lambda *_: 0


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[FakeProducer]:
    made: list[FakeProducer] = []

    def make(config: dict[str, Any]) -> FakeProducer:
        made.append(FakeProducer(config))
        return made[-1]

    monkeypatch.setattr(repairs, "Producer", make)
    return made


def test_repairs_are_kept_in_the_partition_that_is_read(made: list[FakeProducer]) -> None:
    keep_repairs(KafkaAccess("h:1"), [REPAIR])
    assert made[0].sent == [("repairs", 0)]


def test_an_event_goes_where_its_key_belongs_and_the_word_of_it_where_it_is_read(made: list[FakeProducer]) -> None:
    with Redrive(KafkaAccess("h:1")) as redrive:
        redrive.send([(REPAIR, b"1")])
    assert made[0].sent == [("clicks", -1), ("repairs", 0)]
