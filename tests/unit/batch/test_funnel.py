"""The funnel: the course's figures for the whole day, and every lost or changed record shows."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from zlib import crc32

import pytest
from rich.console import Console

from adapters.lake.manifest import Manifest
from batch.funnel import Funnel, Label, RawRow, Stage, measure
from core.cut import Cut
from core.position import PartitionKey
from modes.day import document
from producers import profile
from producers.profile import DAY, NAME, DayStream
from producers.record import Record
from serving.funnel_table import funnel_table
from tests.support.events import CLICKS_0, CLICKS_1, NOW_MS, as_bytes, click
from tests.support.shop import CLAIMS, KERNEL

FIGURES = DAY[0]


def played(records: Iterable[Record]) -> Iterator[tuple[Label, RawRow]]:
    """Label and raw row of each record, on two partitions of each topic."""
    ends: Counter[PartitionKey] = Counter()
    for number, record in enumerate(records):
        claim = CLAIMS.decode(record.truth)
        assert claim is not None
        source = PartitionKey(record.topic, crc32(record.key) % 2)
        offset = ends[source]
        ends[source] += 1
        yield Label(source, offset, claim.hour), RawRow(NOW_MS + number, source, offset, record.value)


def records(seed: int, most: int) -> Iterator[Record]:
    stream = DayStream(seed, "day", seconds=0)
    while most and (taken := stream.take(min(most, 5_000), NOW_MS)):
        most -= len(taken)
        yield from taken


class Hour(NamedTuple):
    """The first hour; `alone`: places of two clicks that are valid and are not sent again."""

    labels: list[Label]
    rows: list[RawRow]
    alone: tuple[int, int]


@pytest.fixture(scope="module")
def hour() -> Hour:
    sent = list(records(3, FIGURES.records))
    labels, rows = zip(*played(sent), strict=True)
    claims = [CLAIMS.decode(record.truth) for record in sent]
    times = Counter(claim.number for claim in claims if claim)
    alone = [i for i, claim in enumerate(claims) if claim and claim.clicks and times[claim.number] == 1]
    return Hour(list(labels), list(rows), (alone[0], alone[-1]))


def changed(rows: list[RawRow], place: int, value: bytes | None) -> list[RawRow]:
    return [*rows[:place], rows[place]._replace(value=value), *rows[place + 1 :]]


def figures(funnel: Funnel) -> tuple[int, ...]:
    return (*funnel.total, funnel.missing)


def test_a_whole_day(monkeypatch: pytest.MonkeyPatch) -> None:
    # a fifth of the day is as good, and sooner over
    fifth = tuple(type(hour)(*(number // 5 for number in hour)) for hour in DAY)
    monkeypatch.setattr(profile, "DAY", fifth)
    labels, rows = zip(*played(records(2, 10**9)), strict=True)
    funnel = measure(labels, rows, KERNEL)
    assert funnel.hours == tuple(Stage(*hour) for hour in fifth)
    assert figures(funnel) == (546_000 // 5, 518_700 // 5, 491_400 // 5, 0)
    assert {f"{stage.loss:.4f}" for stage in (*funnel.hours, funnel.total)} == {"0.1000"}


def test_the_order_of_labels_does_not_matter(hour: Hour) -> None:
    assert figures(measure(sorted(hour.labels), hour.rows, KERNEL)) == (*FIGURES, 0)


def test_a_dropped_row_shows(hour: Hour) -> None:
    del (rows := list(hour.rows))[hour.alone[0]]
    assert figures(measure(hour.labels, rows, KERNEL)) == (FIGURES.records, FIGURES.valid - 1, FIGURES.unique - 1, 1)


def test_a_row_twice_shows_as_one_more_that_is_valid(hour: Hour) -> None:
    found = measure(hour.labels, [*hour.rows, hour.rows[hour.alone[0]]], KERNEL)
    assert figures(found) == (FIGURES.records, FIGURES.valid + 1, FIGURES.unique, -1)


def test_a_dropped_label_shows(hour: Hour) -> None:
    del (labels := list(hour.labels))[hour.alone[0]]
    assert figures(measure(labels, hour.rows, KERNEL)) == (*(number - 1 for number in FIGURES), 0)


def test_a_spoilt_row_shows(hour: Hour) -> None:
    found = measure(hour.labels, changed(hour.rows, hour.alone[0], b"{"), KERNEL)
    assert figures(found) == (FIGURES.records, FIGURES.valid - 1, FIGURES.unique - 1, 0)


def test_a_repeated_row_shows(hour: Hour) -> None:
    one, two = hour.alone
    found = measure(hour.labels, changed(hour.rows, two, hour.rows[one].value), KERNEL)
    assert figures(found) == (FIGURES.records, FIGURES.valid, FIGURES.unique - 1, 0)


def test_the_first_one_is_that_of_the_order_whoever_sent_it() -> None:
    value = as_bytes(click(id="e"))
    rows = [RawRow(NOW_MS, CLICKS_0, 0, value), RawRow(NOW_MS, CLICKS_1, 0, value)]
    hours = measure([Label(CLICKS_1, 0, 3)], rows, KERNEL).hours
    assert hours[3] == Stage(1, 1, 0)
    assert sum(hour.source for hour in hours) == 1


def test_an_empty_hour_loses_nothing() -> None:
    assert measure([], [], KERNEL).total.loss == 0


#: The day as it should be, without playing it again.
WHOLE = Funnel(tuple(Stage(*hour) for hour in DAY), 0)
COUNTED = {"accepted": 491_400, "duplicates": 27_300, "rejected:not_json": 20_000, "rejected:bad_format": 7_300}


def version(number: int, **counters: int) -> Manifest:
    return Manifest(number, Cut(number, {}), "", "v1", "pandas", False, 0, counters=counters)


def drawn(told: dict[str, object]) -> str:
    console = Console(file=io.StringIO(), width=100, color_system=None)
    json.dumps(told)
    console.print(funnel_table(told | {"profile": NAME, "run": "r", "seconds": 60.2}))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_the_table() -> None:
    told = document(WHOLE, None, version(1, **COUNTED), 0)
    assert told["exact"]
    lines = drawn(told).splitlines()
    assert sum(line.endswith("10.00 %") for line in map(str.rstrip, lines)) == 25
    text = "\n".join(lines)
    for words in ("546,000", "518,700", "491,400", "profile's figures, hour by hour", "v1 agrees"):
        assert words in text


def test_the_batch_view_is_compared_by_what_it_added() -> None:
    before = version(1, accepted=5, duplicates=1)
    after = {**COUNTED, "accepted": 491_405, "duplicates": 27_301}
    assert document(WHOLE, before, version(2, **after), 0)["batch_view"]["agrees"] is True
    told = document(WHOLE, None, version(2, **after), 0)
    assert (told["batch_view"]["agrees"], told["exact"]) == (False, False)
    assert "does NOT agree" in drawn(told)


def test_with_others_besides_the_view_is_not_compared() -> None:
    told = document(WHOLE, None, version(2, **COUNTED, late=3), 12)
    assert (told["batch_view"]["agrees"], told["exact"]) == (None, True)
    assert "12 records of others" in drawn(told)


def test_an_hour_that_is_off_is_named() -> None:
    hours = [*WHOLE.hours]
    hours[7] = hours[7]._replace(valid=hours[7].valid - 1)
    told = document(Funnel(tuple(hours), 4), None, version(1, **COUNTED), 3)
    assert not told["exact"]
    assert "in hours 7" in drawn(told)
    assert "4 rows fewer than the log" in drawn(told)
