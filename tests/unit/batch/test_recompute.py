"""Recompute with the engine `pandas`: in full, from the version before, and what refuses a cut."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pyarrow as pa
import pytest

from adapters.lake.manifest import Manifest
from adapters.lake.raw_table import SCHEMA, RawTable
from batch import recompute as module
from batch import spread
from batch.recompute import Recompute
from core.cells import CellKey
from core.cut import Cut
from core.errors import InexactError
from core.rules import Rules
from tests.support.events import CLICKS_0, CLICKS_1, NOW_MINUTE, NOW_MS, SALES_0, as_bytes, click, sale
from tests.support.raw_log import Row, archive, content, cut_at, expected, files, ideal, last_cut, shop_log
from tests.support.shop import SHOP, cell_of

RULES = Rules()
#: across midnight
LOG = shop_log(7, 3_000, start_ms=NOW_MS + 86_400_000 - 150_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.mkdir()
    return path


def run(
    raw: RawTable,
    folder: Path,
    cut: Cut,
    previous: Manifest | None = None,
    *,
    full: bool = False,
    rules: Rules = RULES,
    processes: int = 1,
) -> Manifest:
    version = 1 if previous is None else previous.version + 1
    engine = Recompute(raw, folder, rules, processes, SHOP)
    return engine.run(cut, previous, version=version, created_ms=NOW_MS, full=full)


def test_a_full_run_counts_what_the_reference_and_the_ledger_count(tmp_path, folder):
    cut = last_cut(LOG, RULES)
    manifest = run(archive(tmp_path / "raw", LOG), folder, cut)
    found = content(manifest, folder)
    assert found == expected(LOG, cut, RULES)
    assert (found.cells, found.counters) == ideal(LOG, cut.vector, RULES)
    assert manifest.cut == cut
    assert (manifest.version, manifest.created_ms, manifest.full) == (1, NOW_MS, True)
    assert (manifest.engine, manifest.logic, manifest.rules) == ("pandas", "standard", RULES.encode())
    assert len(manifest.cells) == 2
    assert {name for name in found.counters if not name.startswith("rejected:")} == {"accepted", "duplicates", "late"}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_step_by_step_is_the_same_as_in_full(tmp_path, folder, seed):
    raw = archive(tmp_path / "raw", LOG)
    last = last_cut(LOG, RULES)
    first = RULES.epoch_of(LOG[0].append_ms)
    steps = sorted(Random(seed).sample(range(first, last.epoch), 5))
    manifest = None
    for epoch in [*steps, last.epoch]:
        cut = cut_at(LOG, epoch, RULES)
        manifest = run(raw, folder, cut, manifest)
        assert manifest.full == (epoch == steps[0])
        assert content(manifest, folder) == expected(LOG, cut, RULES)
    whole = run(raw, folder, last, manifest, full=True)
    assert whole.full
    assert files(whole, folder) == files(manifest, folder)


def test_several_processes_and_buckets_give_the_same_files(tmp_path, folder, monkeypatch):
    raw = archive(tmp_path / "raw", LOG)
    cut = last_cut(LOG, RULES)
    one = run(raw, folder, cut)
    monkeypatch.setattr(module, "_BUCKET_ROWS", 1_000)
    monkeypatch.setattr(spread, "_ROWS_A_PROCESS", 1_000)
    many = run(raw, folder, cut, one, full=True, processes=2)
    assert len(many.ids) > len(one.ids) == 1
    assert files(many, folder) == files(one, folder)
    assert content(many, folder) == content(one, folder)


def test_days_that_nothing_is_added_to_are_referenced_again(tmp_path, folder):
    day = 86_400_000
    early = shop_log(1, 300, start_ms=NOW_MS)
    log = early + [
        row._replace(offset=row.offset + 1_000) for row in shop_log(2, 300, start_ms=NOW_MS + 3 * day, gaps=False)
    ]
    raw = archive(tmp_path / "raw", log)
    before = run(raw, folder, cut_at(log, RULES.epoch_of(NOW_MS + day), RULES))
    after = run(raw, folder, last_cut(log, RULES), before)
    assert set(before.cells) < set(after.cells)
    assert before.cells.items() <= after.cells.items()
    assert before.users.items() <= after.users.items()
    assert set(before.ids) < set(after.ids)
    assert content(after, folder) == expected(log, last_cut(log, RULES), RULES)


def test_a_day_to_which_only_duplicates_come_keeps_its_files(tmp_path, folder):
    value = as_bytes(click())
    log = [Row(CLICKS_0, offset, NOW_MS + offset * RULES.epoch_ms, b"u", value) for offset in range(3)]
    raw = archive(tmp_path / "raw", log, commits=1)
    before = run(raw, folder, cut_at(log, RULES.epoch_of(NOW_MS) + 1, RULES))
    after = run(raw, folder, last_cut(log, RULES), before)
    assert (after.cells, after.users, after.ids) == (before.cells, before.users, before.ids)
    assert after.counters == {"accepted": 1, "duplicates": 2}


def test_of_one_id_on_several_partitions_and_topics_the_first_counts(tmp_path, folder):
    log = [
        Row(SALES_0, 0, NOW_MS + 1, b"u", as_bytes(sale(id="a"))),
        Row(CLICKS_1, 0, NOW_MS + 1, b"u", as_bytes(click(id="a", country="FR"))),
        Row(CLICKS_0, 0, NOW_MS + 2, b"u", as_bytes(click(id="a", country="DE"))),
        Row(CLICKS_1, 1, NOW_MS + 2, b"u", as_bytes(click(id="b", country="FR"))),
        Row(CLICKS_0, 1, NOW_MS + 2, b"u", as_bytes(click(id="b", country="IT"))),
    ]
    cut = last_cut(log, RULES)
    manifest = run(archive(tmp_path / "raw", log), folder, cut)
    cells = content(manifest, folder).cells
    assert {key.value: cell for key, cell in cells.items() if key.dimension == "country"} == {
        "FR": cell_of(1),
        "IT": cell_of(1),
    }
    assert cells[CellKey(NOW_MINUTE, "all", "")] == cell_of(2)
    assert manifest.counters == {"accepted": 2, "duplicates": 3}


def test_an_id_is_remembered_for_valid_events_only(tmp_path, folder):
    log = [
        Row(CLICKS_0, 0, NOW_MS, b"u", as_bytes(click(country="nowhere"))),
        Row(CLICKS_0, 1, NOW_MS, b"u", as_bytes(click())),
    ]
    manifest = run(archive(tmp_path / "raw", log, 1), folder, last_cut(log, RULES))
    assert manifest.counters == {"accepted": 1, "rejected:bad_format": 1}


def test_append_times_that_go_back_change_nothing_between_full_and_step_by_step(tmp_path, folder):
    epoch = RULES.epoch_ms
    log = [
        Row(CLICKS_0, 0, NOW_MS + epoch, b"u", as_bytes(click(id="a"))),
        Row(CLICKS_0, 1, NOW_MS + 2 * epoch, b"u", as_bytes(click(id="b"))),
        # an earlier append time, behind the cut: not the first of its id
        Row(CLICKS_0, 2, NOW_MS, b"u", as_bytes(click(id="a", campaign_id="late"))),
    ]
    raw = archive(tmp_path / "raw", log, 1)
    until = RULES.epoch_of(NOW_MS) + 2
    before = run(raw, folder, Cut(until, {CLICKS_0: 1}))
    cut = Cut(until + 1, {CLICKS_0: 3})
    after = run(raw, folder, cut, before)
    whole = run(raw, folder, cut, after, full=True)
    assert content(after, folder) == content(whole, folder) == expected(log, cut, RULES)
    assert "late" not in {key.value for key in content(whole, folder).cells}


def test_clocks_too_far_apart_are_refused(tmp_path, folder):
    late = NOW_MS + 2 * RULES.epoch_ms
    log = [Row(CLICKS_0, 0, late, b"u", as_bytes(click())), Row(CLICKS_0, 1, late, b"u", as_bytes(click(id="b")))]
    raw = archive(tmp_path / "raw", log, 1)
    epoch = RULES.epoch_of(late)
    with pytest.raises(InexactError, match="clocks too far apart: on clicks:0 a record below the cut"):
        run(raw, folder, Cut(epoch, {CLICKS_0: 1}))
    before = run(raw, folder, Cut(epoch + 2, {CLICKS_0: 1}))
    with pytest.raises(InexactError, match="clocks too far apart: on clicks:0 the record after the cut"):
        run(raw, folder, Cut(epoch + 3, {CLICKS_0: 2}), before)
    assert run(raw, folder, Cut(epoch + 3, {CLICKS_0: 2}), before, full=True).counters == {"accepted": 2}
    assert not list(folder.glob("spill-*"))


def test_a_cut_above_the_archive_is_refused(tmp_path, folder):
    log = [Row(CLICKS_0, 0, NOW_MS, b"u", as_bytes(click()))]
    with pytest.raises(InexactError, match="clicks:0 is archived up to 1, the cut is at 2"):
        run(archive(tmp_path / "raw", log, 1), folder, Cut(1 << 30, {CLICKS_0: 2}))


def test_a_version_of_other_rules_is_not_continued(tmp_path, folder):
    raw = archive(tmp_path / "raw", LOG)
    middle = cut_at(LOG, RULES.epoch_of(LOG[1_500].append_ms), RULES)
    before = run(raw, folder, middle)
    strict = Rules(lateness_ms=1_000)
    after = run(raw, folder, last_cut(LOG, RULES), before, rules=strict)
    assert after.full
    assert content(after, folder) == expected(LOG, last_cut(LOG, RULES), strict)
    assert after.counters["late"] > run(raw, folder, last_cut(LOG, RULES)).counters["late"]


def test_partitions_may_be_empty_and_may_come_later(tmp_path, folder):
    middle = RULES.epoch_of(LOG[1_000].append_ms)
    log = [row for row in LOG[:2_000] if row.source != SALES_0 or RULES.epoch_of(row.append_ms) >= middle]
    raw = archive(tmp_path / "raw", log)
    last = last_cut(log, RULES)
    vector = {s: o for s, o in cut_at(log, middle, RULES).vector.items() if s != SALES_0}
    before = run(raw, folder, Cut(middle, vector))
    after = run(raw, folder, last, before)
    assert not after.full
    assert content(after, folder) == expected(log, last, RULES)
    nothing = run(raw, folder, Cut(0, dict.fromkeys(last.vector, 0)))
    assert (nothing.cells, nothing.users, nothing.ids, nothing.counters) == ({}, {}, (), {})


def test_losses_and_gaps_conserve_offsets(tmp_path, folder):
    raw = archive(tmp_path / "raw", [Row(CLICKS_0, 5, NOW_MS, b"u", as_bytes(click()))], 1)
    more = [Row(CLICKS_0, 12, NOW_MS, b"u", as_bytes(click(id="b")))]
    row = more[0]
    columns = [["clicks"], [0], [row.offset], [row.append_ms], [row.key], [row.value]]
    raw.append(
        pa.table([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], SCHEMA),
        {CLICKS_0: (6, 13)},
        {CLICKS_0: 4},
    )
    epoch = RULES.epoch_of(NOW_MS) + 1
    state = run(raw, folder, Cut(epoch, {CLICKS_0: 13})).partitions[CLICKS_0]
    assert (state.first, state.lost, state.gaps) == (0, 4, 7)


def test_many_files_of_ids_are_gathered(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(module, "_MANY_ID_FILES", 3)
    monkeypatch.setattr(module, "_BUCKET_ROWS", 1_500)
    raw = archive(tmp_path / "raw", LOG)
    last = last_cut(LOG, RULES)
    first = RULES.epoch_of(LOG[0].append_ms)
    manifest, counts = None, []
    for epoch in range(first + 1, last.epoch + 1):
        cut = cut_at(LOG, epoch, RULES)
        manifest = run(raw, folder, cut, manifest)
        counts.append(len(manifest.ids))
        assert content(manifest, folder) == expected(LOG, cut, RULES)
    assert max(counts) <= 6
    assert counts != sorted(counts)


def test_what_a_killed_run_left_goes(tmp_path, folder):
    left = folder / "spill-left"
    left.mkdir()
    (left / "lock").touch()
    (left / "rows-0-0.arrow").touch()
    log = [Row(CLICKS_0, 0, NOW_MS, b"u", as_bytes(click()))]
    run(archive(tmp_path / "raw", log, 1), folder, last_cut(log, RULES))
    assert not list(folder.glob("spill-*"))
