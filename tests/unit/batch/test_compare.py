"""ETL and ELT give one answer, and the comparison says what each of them took."""

from __future__ import annotations

from collections import Counter
from io import StringIO

import msgspec
import pytest
from rich.console import Console

from adapters.lake.raw_table import RawTable
from batch import etl, sql
from batch.compare import EtlElt
from batch.events_sql import events_sql
from core.errors import InexactError, UnavailableError
from core.rules import Rules
from core.verdict import Reason, Rejected
from serving.compare_table import compare_table
from tests.support.raw_log import archive, expected, last_cut, shop_log
from tests.support.shop import KERNEL, SHOP

RULES = Rules()
LOG = shop_log(11, 2_000)


def compared(tmp_path, log=LOG):
    return EtlElt(archive(tmp_path / "raw", log), tmp_path / "compare", RULES, 1, SHOP).run()


def test_both_ways_count_what_the_reference_counts_and_every_figure_is_measured(tmp_path):
    found = compared(tmp_path)
    truth = expected(LOG, last_cut(LOG, RULES), RULES)
    assert (found.rows, found.accepted, found.cells) == (len(LOG), truth.counters["accepted"], len(truth.cells))
    for step in (*found.etl, *found.elt, *found.raw_questions):
        assert step.effort.seconds > 0
        assert step.effort.cpu_s > 0
    typed, raw, judged = found.etl[1].stored, found.elt[0].stored, found.elt[1].stored
    assert 0 < typed < judged < raw
    assert list((tmp_path / "compare").iterdir()) == []


def test_raw_rows_tell_what_typed_columns_do_not_keep(tmp_path):
    pages, rejected = compared(tmp_path).raw_questions
    counted: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    seen = set()
    for row in LOG:
        try:
            _, event = KERNEL[row.source.topic].decide.one(row.value, row.append_ms)
        except Rejected as verdict:
            reasons[verdict.reason] += 1
            continue
        if row.source.topic == "clicks" and event.id not in seen:
            counted[event.data.page] += 1
        seen.add(event.id)
    assert pages.answer == sorted(counted.items(), key=lambda found: (-found[1], found[0]))[:3]
    assert {reason: count for reason, count, _ in rejected.answer} == reasons
    for reason, _, first in rejected.answer:
        if reason == Reason.NOT_STAMPED:
            continue
        with pytest.raises((Rejected, UnicodeError)):
            KERNEL["clicks"].decide.one(first.encode("utf-8"), LOG[0].append_ms)


def test_a_way_that_counts_otherwise_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(etl, "_DISTINCT", "FROM staged")
    with pytest.raises(InexactError, match="differ in cells, first at"):
        compared(tmp_path)
    assert list((tmp_path / "compare").iterdir()) == []


def test_a_way_that_rejects_otherwise_is_found(tmp_path, monkeypatch):
    wrong = events_sql(SHOP).replace("> 64 THEN 'out_of_range'", "> 64 THEN 'bad_format'")
    monkeypatch.setattr(sql, "events_sql", lambda _: wrong)
    with pytest.raises(InexactError, match="ETL rejects"):
        compared(tmp_path)


def test_an_empty_lake_is_one_clear_line(tmp_path):
    with pytest.raises(UnavailableError, match="fourfold batch --once"):
        EtlElt(RawTable(tmp_path / "raw", SHOP.topics), tmp_path / "compare", RULES, 1, SHOP).run()


def test_the_table_shows_every_step_and_the_json_carries_it(tmp_path):
    document = msgspec.json.decode(msgspec.json.encode(compared(tmp_path).as_json()))
    screen = StringIO()
    Console(width=80, file=screen).print(compare_table(document))
    drawn = screen.getvalue()
    for step in (*document["etl"]["steps"], *document["elt"]["steps"]):
        assert step["name"] in drawn
    assert "both ways give the same cells" in drawn
