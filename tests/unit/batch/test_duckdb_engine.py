"""The engine `duckdb` counts what the engine `pandas` and the reference count, document by document."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.lake.raw_table import RawTable
from batch import sql
from batch.duckdb_engine import DuckdbRecompute
from batch.events_sql import events_sql
from batch.recompute import Recompute
from core.cut import Cut
from core.errors import InexactError
from core.rules import Rules
from producers.variants import VARIANTS
from tests.support.events import CLICKS_0, NOW_MS, SALES_0, as_bytes, click, sale
from tests.support.raw_log import Row, archive, by_kernel, content, cut_at, expected, files, last_cut, shop_log
from tests.support.shop import SHOP

RULES = Rules()
LOG = shop_log(7, 3_000, start_ms=NOW_MS + 86_400_000 - 150_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.mkdir()
    return path


def run(engine, raw, folder, cut):
    return engine(raw, folder, RULES, 1, SHOP).run(cut, None, version=1, created_ms=NOW_MS, full=True)


def reasons(tmp_path, folder, values):
    """What each engine and the reference say of documents, one (topic's partition, value) after the other."""
    log, ends = [], {CLICKS_0: 0, SALES_0: 0}
    for source, value in values:
        log.append(Row(source, ends[source], NOW_MS + 60_000, b"u", value))
        ends[source] += 1
    cut = last_cut(log, RULES)
    found = content(run(DuckdbRecompute, archive(tmp_path, log, 1), folder, cut), folder)
    assert found == expected(log, cut, RULES, by_kernel)
    return found.counters


def test_a_dirty_log_gives_the_same_files_as_the_other_engine(tmp_path, folder):
    raw = archive(tmp_path / "raw", LOG)
    for cut in (cut_at(LOG, RULES.epoch_of(LOG[1_000].append_ms), RULES), last_cut(LOG, RULES)):
        duck, pandas = run(DuckdbRecompute, raw, folder, cut), run(Recompute, raw, folder, cut)
        assert content(duck, folder) == content(pandas, folder) == expected(LOG, cut, RULES)
        assert files(duck, folder).keys() == files(pandas, folder).keys()
        assert (duck.engine, duck.full) == ("duckdb", True)


@pytest.mark.parametrize("kind", sorted({variant.kind for variant in VARIANTS}))
def test_each_variant_of_dirt_has_its_reason(tmp_path, folder, kind):
    random = Random(3)
    values, wanted = [], []
    for variant in VARIANTS:
        for topic in variant.topics:
            if variant.kind == kind:
                document = sale() if topic == "sales" else click()
                source = (
                    (SALES_0 if topic == "sales" else CLICKS_0)
                    if not variant.elsewhere
                    else (CLICKS_0 if topic == "sales" else SALES_0)
                )
                values.append((source, variant.spoil(as_bytes(document), random)))
                wanted.append(variant.reason)
    found = reasons(tmp_path / "raw", folder, values)
    assert found == {f"rejected:{reason}": wanted.count(reason) for reason in set(wanted)}


NUMBERS = ["0", "1", "-0", "1.0", "-0.0", "1e2", "1E0", "10000", "10001", "100000000", "100000001", "01", "+1", "1.",
           "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616", "-1",
           "-9223372036854775809", "1" + "0" * 30, "1e400", "-1e400", "NaN", "Infinity", "-inf", '"1"', "true", "null"]  # fmt: skip


def test_numbers_are_read_as_the_contract_reads_them(tmp_path, folder):
    text = as_bytes(sale(quantity=7, unit_price_cents=9)).decode()
    values = []
    for i, number in enumerate(NUMBERS):
        for old in ('"quantity":7', '"unit_price_cents":9'):
            new = text.replace(old, old[:-1] + number).replace("event-1", f"{old[1]}{i}")
            values.append((SALES_0, new.encode()))
    assert set(reasons(tmp_path / "raw", folder, values)) == {
        "accepted", "rejected:not_json", "rejected:out_of_range", "rejected:wrong_type",
    }  # fmt: skip


TIMES = ["2025-12-31T23:59:00Z", "2025-12-31t23:59:00z", "2025-12-31 23:59:00Z", "2025-12-31_23:59:00Z",
         "2025-12-31T23:59:00.Z", "2025-12-31T23:59:00.1Z", "2025-12-31T23:59:59.999999999Z", "2025-12-31T23:59:60Z",
         "2025-12-31T24:00:00Z", "2025-12-31T23:59:00+0100", "2025-12-31T23:59:00+01", "2025-12-31T22:59:00.5-01:00",
         "2025-12-31T23:59:00-00:00", "2025-12-31T23:59:00+23:59", "2025-12-31T23:59:00+24:00", "0000-01-01T00:00:00Z",
         "2025-12-31T23:59:00+01:60", "2025-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "0001-01-01T00:00:00+01:00",
         "9999-12-31T23:59:59-01:00", "2025-12-31T23:59:00 Z", " 2025-12-31T23:59:00Z", "2025-12-31T23:59:00Z ",
         "2025-12-31T23:59:00,5Z", "2025-12-31T23:59Z", "2025-12-31T23:59:00\u221201:00", "2025-12-31T23:59:00.123\u0663Z",
         "2025-12-31T23:60:00Z", "20251231T235900.0000Z", "2025-12-31T23:59:00.00000000000000000001Z",
         "2025-12-31T23:59:00.0000000000000000000001Z", "2026-01-01T00:05:59.999Z", "2026-01-01T00:06:00.001Z",
         "1999-12-31T23:59:59.999Z", "2000-01-01T00:00:00Z", "2026-01-01T00:06:00.000Z", "2025-00-31T23:59:00Z"]  # fmt: skip


def test_times_are_read_as_the_contract_reads_them(tmp_path, folder):
    values = [(CLICKS_0, as_bytes(click(time=time, id=f"e{i}"))) for i, time in enumerate(TIMES)]
    found = reasons(tmp_path / "raw", folder, values)
    assert found["accepted"] > 10
    assert found["rejected:bad_format"] > 15


def test_odd_documents(tmp_path, folder):
    text = as_bytes(click()).decode()
    odd = [
        text.replace('"page":"/cups"', '"page":"/nan,}inf"').encode(),
        text.replace('"page":"/cups"', '"page":"\\",}","x":[]').encode(),
        text.replace("}}", "},}").encode(),
        text.replace("}}", '},"x":NaN}').encode(),
        text.replace("}}", '},"x":[1,]}').encode(),
        text.replace("}}", '},"id":"twice"}').encode(),
        text.replace('"user_id":"user-1"', '"user_id":"first","user_id":"last"').encode(),
        text.replace('"id"', '"i\\u0064"').replace("event-1", "escaped").encode(),
        text.replace("event-1", "\\u0000").encode(),
        text.replace("event-1", "\\ud800").encode(),
        text.replace("event-1", "\x01").encode(),
        text.replace("event-1", "🇩🇪" * 32).encode(),
        text.replace("event-1", "e\u0301" * 33).encode(),
        b"\xef\xbb\xbf" + text.encode(),
        b" \n\t" + text.replace("event-1", "spaces").encode() + b"\r\n ",
        text.encode() + b"\x00",
        text.replace("event-1", "\ud800").encode(errors="surrogatepass"),
        b"",
        b'""',
        None,
    ]
    found = reasons(tmp_path / "raw", folder, [(CLICKS_0, value) for value in odd])
    assert (found["accepted"], found["duplicates"]) == (6, 2)


VALUES = st.sampled_from([None, 1, 1.5, True, "", "x", "DE", "EUR", "1.0", "x" * 65, [], {}, "2026-01-01T00:00:00Z"])
PATHS = st.sampled_from(["specversion", "id", "source", "type", "time", "data", "extra"]) | st.sampled_from(
    ["user_id", "session_id", "page", "order_id", "quantity", "unit_price_cents", "currency", "country"]
).map(lambda name: f"data.{name}")
CHANGES = st.lists(st.tuples(PATHS, st.sampled_from(["set", "delete", "last"]), VALUES), min_size=1, max_size=4)


def changed(document, changes):
    for path, what, value in changes:
        *folders, name = path.split(".")
        place = document
        for inner in folders:
            place = place.get(inner)
        if not isinstance(place, dict):
            continue
        if what == "set":
            place[name] = value
        elif name in place:
            old = place.pop(name)
            if what == "last":
                place[name] = old
    return msgspec.json.encode(document)


@settings(max_examples=15)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), CHANGES), min_size=40, max_size=120))
def test_documents_with_several_faults_have_the_reason_that_comes_first(tmp_path_factory, drawn):
    path = tmp_path_factory.mktemp("odd")
    (path / "data").mkdir()
    values = [
        (SALES_0 if on_sales else CLICKS_0, changed(sale() if is_sale else click(), changes))
        for on_sales, is_sale, changes in drawn
    ]
    reasons(path / "raw", path / "data", values)


@pytest.mark.parametrize("engine", [Recompute, DuckdbRecompute])
def test_an_event_ahead_of_its_append_time_makes_no_other_late(tmp_path, folder, engine):
    times = [NOW_MS + 240_000, NOW_MS - 60_000, NOW_MS - 60_001]
    values = [as_bytes(click(time, id=f"e{i}")) for i, time in enumerate(times)]
    log = [Row(CLICKS_0, i, NOW_MS, b"u", value) for i, value in enumerate(values)]
    cut = last_cut(log, RULES)
    manifest = run(engine, archive(tmp_path / "raw", log, 1), folder, cut)
    assert manifest.counters == {"accepted": 3, "late": 1}
    assert content(manifest, folder) == expected(log, cut, RULES)


def test_an_empty_table_gives_an_empty_view(tmp_path, folder):
    raw, cut = RawTable(tmp_path / "raw", SHOP.topics), Cut(5, {CLICKS_0: 0})
    duck, pandas = run(DuckdbRecompute, raw, folder, cut), run(Recompute, raw, folder, cut)
    assert content(duck, folder) == content(pandas, folder) == expected([], cut, RULES)


def test_clocks_too_far_apart_are_refused(tmp_path, folder):
    log = [Row(CLICKS_0, 0, NOW_MS, b"u", as_bytes(click()))]
    with pytest.raises(InexactError, match="clocks too far apart: on clicks:0"):
        run(DuckdbRecompute, archive(tmp_path / "raw", log, 1), folder, Cut(RULES.epoch_of(NOW_MS), {CLICKS_0: 1}))


def test_every_reason_is_one_of_the_closed_list():
    quoted = set(re.findall(r"'([a-z_]+)'", events_sql(SHOP) + sql.RULES))
    assert set(SHOP.reasons) <= quoted
