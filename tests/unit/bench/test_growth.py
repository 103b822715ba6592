from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench import cli
from bench.growth import Growth
from bench.growth_epochs import SPAN_S, EpochLength, polls
from bench.growth_reading import MEASURES, TOP_HOUR, Reading, Readings, demand, most_clicked
from bench.growth_writing import NOW, SCATTERED, SMALL, Mark, Writing, cases, spent
from bench.options import DEFAULT_PARTS
from bench.proof import Proof
from bench.rewriting import Rewriting
from bench.samples import Sample
from bench.view_filler import Filled
from core.errors import FourfoldError, InexactError
from core.position import PartitionKey
from modes.race.latency import Latency
from producers.stream import ShopStream
from tests.support.shop import SHOP

A = PartitionKey("clicks", 0)


def reading(cells: int, times: float = 0.0) -> Reading:
    at = Latency(50, 4.0 + times, 9.0, 12.0)
    return Reading(
        cells,
        cells // 100,
        cells * 2,
        int(1e6 * times),
        1.0,
        0.5 + times,
        1.5 + times,
        2.5 + times,
        90 + times,
        at,
        at,
        at,
    )


def growth() -> Growth:
    found = Readings(100, 0.02, reading(0), [reading(1_000, 1.0), reading(10_000, 10.0)])
    found.slopes = dict.fromkeys(MEASURES, 1.0)
    writing = Writing(SCATTERED.name, 5_000, 100_000, 80_000.0, 9.5, 1.25, 60.5, 41.5, Proof(100_000, 777))
    return Growth(found, [writing], [EpochLength(300.0, 13, 100_000, 7.5, 0.75, 21.5, 22.5)])


def mark(at_s: float, counted: int, *, opened: bool = True) -> Mark:
    return Mark(Sample(at_s, {A: counted} if counted else {}, at_s * 0.5, 0), at_s * 0.1, opened)


def test_what_is_spent_is_spent_from_the_opening_to_the_last_event():
    marks = [mark(0, 0, opened=False), mark(2, 0), mark(3, 400), mark(4, 1000), mark(9, 1000)]
    found = spent(marks)
    assert (found.events, found.seconds) == (1000, 2)
    assert found.worker_cpu_s == pytest.approx(1.0)
    assert found.redis_cpu_s == pytest.approx(0.2)


def test_where_nobody_saw_the_opening_it_begins_with_the_first_events():
    found = spent([mark(0, 0, opened=False), mark(3, 400), mark(4, 1000)])
    assert (found.events, found.seconds) == (600, 1)


def test_a_log_that_was_counted_at_once_has_no_speed():
    with pytest.raises(FourfoldError, match="--growth-events"):
        spent([mark(0, 0, opened=False), mark(3, 1000)])


def test_scattered_and_small_are_measured_with_the_fewer_products():
    assert [(case, n) for case, n in cases([50_000, 50, 5_000])] == [
        *((NOW, n) for n in (50, 5_000, 50_000)),
        *((case, n) for case in (SCATTERED, SMALL) for n in (50, 5_000)),
    ]


def test_measures_of_commands_leave_out_what_an_empty_view_takes():
    points = {name: growth().reading.points(name) for name in MEASURES}
    assert points["counts --json, ms beyond an empty view"] == [(1_000, 1_000), (10_000, 10_000)]
    assert points["API's first answer, ms beyond an empty view"][0] == (1_000, 1_000)
    assert points["API's memory, MB beyond an empty view"] == [(1_000, 1), (10_000, 10)]
    assert points["Redis, MB beyond an empty view"] == [(1_000, 1), (10_000, 10)]
    assert points["/v1/series over all minutes, p50 ms"] == [(1_000, 5), (10_000, 14)]


def test_an_hour_is_measured_only_where_the_history_has_one():
    # 10 and 100 minutes
    assert growth().reading.points(TOP_HOUR) == [(10_000, 14)]


def test_the_picture_has_a_line_of_each_measure_with_its_slope():
    titles = [each.text for each in ET.fromstring(growth().picture()).iter("{http://www.w3.org/2000/svg}title")]
    assert titles == [f"{name} (slope 1.00)" for name in MEASURES]


def test_another_answer_than_what_was_counted_is_no_measurement():
    demand("the API", {"clicks": 3}, {"clicks": 3})
    with pytest.raises(InexactError, match="clicks: 2, not 3"):
        demand("the API", {"clicks": 2}, {"clicks": 3})
    with pytest.raises(InexactError, match="the API"):
        demand("the API", {"clicks": 3, "sales": 1}, {"clicks": 3})


def test_the_most_clicked_products_in_the_order_of_the_api():
    found = most_clicked(Filled(clicks=Counter({7: 3, 2: 5, 1: 3})))
    assert list(found.items()) == [("product-00002", 5), ("product-00001", 3), ("product-00007", 3)]


def test_polls_hold_all_records_spread_over_the_span(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bench.growth_epochs.POLL_RECORDS", 1_000)
    sources = [PartitionKey(topic, number) for topic in ("clicks", "sales") for number in range(3)]
    found = list(polls(ShopStream(7, "polls"), Rewriting(SHOP, 9), 5_000, sources, 1_000_000))
    assert sum(len(records) for poll in found for records in poll.values()) == 5_000
    assert len(found) == 5
    for source in sources:
        records = [record for poll in found for record in poll.get(source, [])]
        assert [record.offset for record in records] == list(range(len(records)))
        assert [record.timestamp for record in records] == sorted(record.timestamp for record in records)
    stamps = [record.timestamp for poll in found for records in poll.values() for record in records]
    assert min(stamps) == 1_000_000
    assert 0.99 * SPAN_S < (max(stamps) - min(stamps)) / 1000 < SPAN_S


def test_growth_is_measured_only_where_asked_for():
    assert not {"memory", "growth"} & set(DEFAULT_PARTS)
    options = cli.parse(["growth", "--growth-cells", "10_000,20_000", "--growth-keys", "9", "--growth-events", "5"])
    assert options.parts == ("growth",)
    assert (options.growth_cells, options.growth_keys, options.growth_events) == ((10_000, 20_000), (9,), 5)


@pytest.mark.parametrize("sizes", ["", "0", "10,many", "10,,20"])
def test_wrong_sizes_end_with_2(sizes: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as end:
        cli.parse(["growth", "--growth-cells", sizes])
    assert end.value.code == 2
    assert "--growth-cells" in capsys.readouterr().err


def test_the_picture_is_beside_the_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    made = growth()
    monkeypatch.setitem(cli.RUN, "growth", lambda *_: made)
    assert cli.main(["growth", "--json", str(tmp_path / "found.json")]) == 0
    assert (tmp_path / cli.PICTURE).read_text() == made.picture()
    document = json.loads((tmp_path / "found.json").read_text())
    assert document["results"]["growth"]["reading"]["sizes"][1]["cells"] == 10_000
    assert document["goals"] == []
    assert "goals" not in capsys.readouterr().out


def test_no_picture_without_a_place_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(cli.RUN, "growth", lambda *_: growth())
    monkeypatch.chdir(tmp_path)
    assert cli.main(["growth"]) == 0
    assert list(tmp_path.iterdir()) == []


def test_an_empty_picture_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = growth()
    made.reading = replace(made.reading, sizes=[])
    monkeypatch.setitem(cli.RUN, "growth", lambda *_: made)
    assert cli.main(["growth", "--json", str(tmp_path / "found.json")]) == 0
    assert not (tmp_path / cli.PICTURE).exists()
