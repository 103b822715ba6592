"""Sums at the end of 64 bits: the same in both engines up to there, an error with the cell's name above."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.lake.day_cells import DayCells, add_up
from adapters.lake.manifest import Manifest
from batch import recompute, spill
from batch.quality import check
from batch.quality_frames import hours_frame, totals_frame
from batch.quality_rules import Volume
from batch.recompute import Recompute
from batch.sql import SqlError, connect, count_cells
from batch.sums import Sums
from core.cells import LARGEST, CellKey, CellOverflowError
from core.declaration.expression import parse
from core.declaration.pipeline import Measure, Pipeline
from core.errors import InexactError
from core.rules import Rules
from tests.support.events import NOW_MINUTE, NOW_MS, SALES_0, as_bytes, sale
from tests.support.raw_log import Row, archive, content, cut_at, last_cut
from tests.support.shop import CELLS, SHOP, cell_of

RULES = Rules()
#: the most that the contract lets a sale cost
MOST = {"quantity": 10_000, "unit_price_cents": 100_000_000}
MOST_CENTS = 10**12


def sales(count: int, *, repeated: int = 0) -> list[Row]:
    """The dearest sales, each of its own minute's campaign; then some of them again, an epoch later."""
    ids = [*range(count), *range(repeated)]
    rows = []
    for offset, number in enumerate(ids):
        append_ms = NOW_MS + (RULES.epoch_ms if offset >= count else 0)
        rows.append(Row(SALES_0, offset, append_ms, b"u", as_bytes(sale(NOW_MS, id=f"s-{number}", **MOST))))
    return rows


def costing(cents: int) -> Pipeline:
    """The shop where each sale costs so much: nine millions of the dearest ones fill 64 bits, too."""
    revenue = Measure("revenue_cents", "sales", parse(str(cents), {}, "integer"))
    return replace(SHOP, measures={**SHOP.measures, "revenue_cents": revenue})


def run(rows: list[Row], path: Path, cents: int, base: Manifest | None = None) -> Manifest:
    (path / "data").mkdir(exist_ok=True)
    raw = archive(path / "raw", rows, 1) if base is None else archive(path / "raw2", rows, 1)
    engine = Recompute(raw, path / "data", RULES, 1, costing(cents))
    return engine.run(last_cut(rows, RULES), base, version=1, created_ms=1, full=base is None)


def revenue(manifest: Manifest, path: Path) -> int:
    return content(manifest, path / "data").cells[CellKey(NOW_MINUTE, "all", "")][3]


def test_up_to_the_largest_number_a_sum_is_exact(tmp_path: Path) -> None:
    assert revenue(run(sales(7), tmp_path, LARGEST // 7), tmp_path) == LARGEST // 7 * 7 == LARGEST


def test_above_it_the_cell_is_named(tmp_path: Path) -> None:
    with pytest.raises(CellOverflowError, match=r"revenue_cents of all at 2026-01-01T00:00 is above 9,223,372,036,854"):
        run(sales(8), tmp_path, LARGEST // 7)


@pytest.mark.parametrize("held", [1, 500_000])
def test_duplicates_that_are_taken_back_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    """With them the sum of the partition is above the largest number, without them it is just that."""
    monkeypatch.setattr(spill, "_HELD", held)
    assert revenue(run(sales(7, repeated=7), tmp_path, LARGEST // 7), tmp_path) == LARGEST


@pytest.mark.parametrize(("before", "fits"), [(LARGEST - 2 * MOST_CENTS, True), (LARGEST - 2 * MOST_CENTS + 1, False)])
def test_what_is_added_to_a_full_cell(tmp_path: Path, before: int, fits: bool) -> None:
    """The contract's own bound, on top of what a version before has."""
    rows = sales(2) + [
        Row(SALES_0, 2 + i, NOW_MS + RULES.epoch_ms, b"u", as_bytes(sale(NOW_MS, id=f"t-{i}", **MOST))) for i in (0, 1)
    ]
    (tmp_path / "data").mkdir()
    raw = archive(tmp_path / "raw", rows, 1)
    engine = Recompute(raw, tmp_path / "data", RULES, 1, SHOP)
    half = cut_at(rows, RULES.epoch_of(NOW_MS) + 1, RULES)
    base = engine.run(half, None, version=1, created_ms=1, full=True)
    (day, name) = next(iter(base.cells.items()))
    cells = pq.read_table(tmp_path / "data" / name)
    filled = cells.set_column(6, "revenue_cents", pa.array([before] * len(cells), pa.int64()))
    pq.write_table(filled, tmp_path / "data" / "full.parquet")
    base = replace(base, cells={day: "full.parquet"})
    if not fits:
        with pytest.raises(CellOverflowError, match="revenue_cents of all at 2026-01-01T00:00"):
            engine.run(last_cut(rows, RULES), base, version=2, created_ms=2, full=False)
        return
    manifest = engine.run(last_cut(rows, RULES), base, version=2, created_ms=2, full=False)
    assert revenue(manifest, tmp_path) == LARGEST


@pytest.mark.parametrize(("number", "fits"), [(LARGEST - 5, True), (LARGEST - 4, False)])
def test_duckdb_says_the_same(tmp_path: Path, number: int, fits: bool) -> None:
    with connect(tmp_path, 1) as database:
        database.execute(
            "CREATE TABLE events AS SELECT 1::INTEGER AS minute, 'u' AS user, 'c' AS campaign, 'it''s' AS product, "
            f"'DE' AS country, 0::BIGINT AS clicks, 1::BIGINT AS sales, n::BIGINT AS units, 0::BIGINT AS revenue_cents, "
            f"true AS counted FROM (VALUES ({number}), (5)) AS of (n)"
        )
        if fits:
            count_cells(database, SHOP)
            assert {row[5] for row in database.table("cells").fetchall()} == {LARGEST}
        else:
            with pytest.raises(CellOverflowError, match="units of all at 1970-01-01T00:01 is above"):
                count_cells(database, SHOP)


def test_sums_agree_with_whole_numbers_wherever_they_fit() -> None:
    """Seeded: large numbers of both signs, many of a key."""
    adder = Sums(SHOP)
    dice = np.random.default_rng(7)
    for scale in (10, 2**40, 2**61, LARGEST):
        numbers = dice.integers(-scale, scale, (200, 4))
        keys = dice.integers(0, 20, 200)
        wanted: dict[tuple[int, int], list[int]] = {}
        for key, row in zip(keys.tolist(), numbers.tolist(), strict=True):
            sums = wanted.setdefault((key // 4, key % 4), [0] * 4)
            sums[:] = [one + other for one, other in zip(sums, row, strict=True)]
        table = pa.table([(keys // 4), (keys % 4), [""] * 200, *numbers.T], ["m", "d", "v", *"abcd"])
        table = table.rename_columns(adder.cell_schema.names).cast(adder.cell_schema)
        if any(abs(number) > LARGEST for sums in wanted.values() for number in sums):
            with pytest.raises(CellOverflowError, match=f"of ({'|'.join(adder.dimensions)})"):
                adder.add_up(table)
            continue
        found = {(row["minute"], row["dimension"]): list(row.values())[3:] for row in adder.add_up(table).to_pylist()}
        assert found == wanted


def test_the_view_sums_minutes_beyond_64_bits(tmp_path: Path) -> None:
    """Each minute fits into its file; a day of them is more than numpy's integers hold."""
    rows = [(minute, "all", "", 1, 1, 1, LARGEST) for minute in range(3)]
    table = pa.table([pa.array(c, f.type) for c, f in zip(zip(*rows, strict=True), CELLS, strict=True)], CELLS)
    pq.write_table(table, tmp_path / "cells.parquet")
    day = DayCells(tmp_path / "cells.parquet", SHOP)
    assert day.totals == {("all", ""): cell_of(3, 3, 3, 3 * LARGEST)}
    assert add_up({"a": day, "b": day})["all", ""][3] == 6 * LARGEST
    assert day.between(1, 3)["all", ""][3] == 2 * LARGEST
    assert day.series(("all", ""), 2, 3) == {2: cell_of(1, 1, 1, LARGEST)}


def test_quality_rules_look_at_hours_beyond_64_bits() -> None:
    frame = hours_frame({minute: cell_of(1, 0, 0, LARGEST) for minute in range(3)}, SHOP)
    rule = Volume(name="n", severity="error", table="hours", column="revenue_cents", min=2 * LARGEST)
    report = check([rule], {"hours": frame, "totals": totals_frame({})}, now_ms=0)
    assert not report.blocking
    whole = hours_frame({0: cell_of(1, 0, 0, LARGEST)}, SHOP)
    assert whole["revenue_cents"].tolist() == [LARGEST]


def test_an_event_of_a_minute_that_no_column_holds(tmp_path: Path) -> None:
    far_ms = 2**31 * 60_000
    rows = [Row(SALES_0, 0, far_ms, b"u", as_bytes(sale(far_ms)))]
    raw = archive(tmp_path / "raw", rows, 1)
    (tmp_path / "data").mkdir()
    cut = last_cut(rows, RULES)
    with pytest.raises(InexactError, match="sales:0 has an event after the year 6053"):
        Recompute(raw, tmp_path / "data", RULES, 1, SHOP).run(cut, None, version=1, created_ms=1, full=True)
    from batch.duckdb_engine import DuckdbRecompute

    with pytest.raises(SqlError, match=r"^DuckDB cannot count the raw table: .*\S$"):
        DuckdbRecompute(raw, tmp_path / "data", RULES, 1, SHOP).run(cut, None, version=1, created_ms=1, full=True)


def test_buckets_are_small_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Duplicates of several buckets are taken back one by one, and the sum is the same."""
    monkeypatch.setattr(recompute, "_BUCKET_ROWS", 2)
    assert revenue(run(sales(7, repeated=7), tmp_path, LARGEST // 7), tmp_path) == LARGEST
