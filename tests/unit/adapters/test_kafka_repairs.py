"""Repairs as they are read back: ours, and nothing of somebody else."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from adapters.kafka import repairs
from adapters.kafka.access import KafkaAccess
from adapters.kafka.log import Entry
from adapters.kafka.repairs import Redrive, Repair, RepairBook, keep_repairs, read_repairs
from core.position import PartitionKey
from tests.support.events import CLICKS_0, NOW_MS
from tests.support.fake_reader import FakeReader
from tests.support.shop import SHOP

PLACE = f"clicks:0:5@{NOW_MS}".encode()
REPAIR = Repair(CLICKS_0, 5, NOW_MS, "sales", b"\xffann", b"{}", "euros", "event-5")
HEADERS: list[tuple[str, Any]] = [
    ("topic", b"sales"), ("key", b"\xffann"), ("fix", b"euros"), ("event-id", b"event-5"),
]  # fmt: skip


def book_of(monkeypatch: pytest.MonkeyPatch, *records: tuple[bytes | None, bytes | None, list[Any]]) -> RepairBook:
    reader = FakeReader([Entry(PartitionKey("repairs", 0), at, NOW_MS, *record) for at, record in enumerate(records)])
    monkeypatch.setattr(repairs, "LogReader", reader)
    return read_repairs(KafkaAccess("h:1"), SHOP.topics)


def test_what_is_kept_is_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    assert repairs._headers(REPAIR) == HEADERS
    book = book_of(monkeypatch, (PLACE, b"{}", HEADERS))
    assert book.waiting == [REPAIR]
    book = book_of(monkeypatch, (PLACE, b"{}", HEADERS), (b"redriven " + PLACE, b"event-5", []))
    assert (book.waiting, book.redriven, book.foreign) == ([], {PLACE.decode()}, 0)


@pytest.mark.parametrize(
    ("key", "value", "headers"),
    [
        *((b"k", b"x", []), (None, b"x", []), (b"\xff", b"x", HEADERS), (b"", b"{}", HEADERS), (b"k", None, [])),
        *((PLACE, b"{}", []), (PLACE, b"{}", HEADERS[1:]), (PLACE, b"{}", [("topic", b"orders"), *HEADERS[1:]])),
        *((PLACE, b"{}", [("topic", None), *HEADERS[1:]]), (b"orders:0:5@1", b"{}", HEADERS)),
        *((b"clicks:0:5", b"{}", HEADERS), (b"clicks:0:5@-1", b"{}", HEADERS), (b"clicks:0:5@soon", b"{}", HEADERS)),
        *(
            (b"clicks:0:" + b"9" * 5_000 + b"@1", b"{}", HEADERS),
            (b"redriven k", b"x", []),
            (b"redriven \xff", b"x", []),
        ),
    ],
)
def test_records_of_somebody_else_are_left_out_and_counted(
    monkeypatch: pytest.MonkeyPatch, key: bytes | None, value: bytes | None, headers: list[Any]
) -> None:
    with capture_logs() as logs:
        book = book_of(monkeypatch, (key, value, headers), (PLACE, b"{}", HEADERS), (key, value, headers))
    assert (book.waiting, book.redriven, book.foreign) == ([REPAIR], set(), 2)
    assert [entry["records"] for entry in logs] == [2]


def test_a_tombstone_takes_a_repair_and_no_word_that_it_went(monkeypatch: pytest.MonkeyPatch) -> None:
    assert book_of(monkeypatch, (PLACE, b"{}", HEADERS), (PLACE, None, [])).waiting == []
    word = (b"redriven " + PLACE, b"event-5", [])
    book = book_of(monkeypatch, (PLACE, b"{}", HEADERS), word, (b"redriven " + PLACE, None, []))
    assert book.redriven == {PLACE.decode()}


class FakeProducer:
    """A client of Kafka that keeps what it is given."""

    def __init__(self, _config: dict[str, Any]) -> None:
        self.sent: list[tuple[str, int]] = []

    def produce(self, topic: str, *, partition: int = -1, **_: object) -> None:
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
    with Redrive(KafkaAccess("h:1"), SHOP.envelope.content_type) as redrive:
        redrive.send([(REPAIR, b"1")])
    assert made[0].sent == [("sales", -1), ("repairs", 0)]
