"""A lake below a folder with any legal name: every engine reads all of it and nothing of its neighbours."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.lake import plain_path
from adapters.lake.batch_view import BatchViews
from adapters.lake.plain_path import plain
from adapters.lake.raw_table import RawTable
from adapters.lake.views import ViewStore
from batch.compare import EtlElt
from batch.duckdb_engine import DuckdbRecompute
from batch.recompute import Recompute
from batch.sql import connect, read_parquet
from core.errors import ConfigurationError
from core.rules import Rules
from tests.support.events import CLICKS_0, NOW_MS, SALES_0, as_bytes, click, sale
from tests.support.raw_log import Row, archive, content, cut_at, expected, last_cut
from tests.support.shop import SHOP

RULES = Rules()
LOG = [
    Row(source, offset, NOW_MS + 1_000 * offset, b"u", as_bytes(of(NOW_MS, id=f"{source}-{offset}")))
    for source, of in ((CLICKS_0, click), (SALES_0, sale))
    for offset in range(12)
]
NAMES = [
    "plain",
    "topic=shop",
    "partition=3",
    "offset=1",
    "minute=0",
    "kappa [2026]",
    "[/x]",
    "a^b",
    "a|b",
    "my%20project",
    "%5B%2F%",
    "old\\copy",
    "back\\[slash]",
    "what?",
    "all*",
    "**",
    "{a,b}",
    "#1;2&3",
    'it\'s "so"',
    "$HOME",
    "~x",
    "s3:/bucket",
    "ünï 😀",
    "e\u0301",
    "new\nline\ttab\x01",
    os.fsdecode(b"no utf-8 \xff"),
    " ",
    "x" * 255,
    "real/../x",
]


@pytest.fixture(autouse=True)
def _links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links of a test are its own."""
    (tmp_path / "links").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "links"))


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_both_engines_count_all_of_a_lake_below_any_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "real").mkdir()
    lake = tmp_path / name / "lake"
    raw = archive(lake / "raw", LOG)
    raw.compact()
    assert raw.vacuum(alone=True) == 4
    raw = RawTable(lake / "raw", SHOP.topics)
    views = ViewStore(lake / "views", SHOP)
    views.make()
    half, whole = cut_at(LOG, RULES.epoch_of(NOW_MS) + 1, RULES), last_cut(LOG, RULES)
    first = Recompute(raw, views.data, RULES, 1, SHOP).run(half, None, version=1, created_ms=1, full=False)
    views.publish(first)
    second = Recompute(raw, views.data, RULES, 1, SHOP).run(whole, first, version=2, created_ms=2, full=False)
    oracle = DuckdbRecompute(raw, views.data, RULES, 1, SHOP).run(whole, second, version=3, created_ms=3, full=True)
    views.publish(second)
    views.publish(oracle)
    assert content(second, views.data) == content(oracle, views.data) == expected(LOG, whole, RULES)
    view = BatchViews(ViewStore(lake / "views", SHOP), SHOP).current()
    assert view is not None
    assert view.totals["all", ""][0] == view.totals["all", ""][1] == 12
    assert view.users(0, 1 << 30) == {"user-1"}
    assert views.vacuum() == 0
    # the data are where they were asked for, whatever way led there
    assert {file.name for file in (lake / "views" / "data").iterdir()} >= second.files()
    assert len(list((lake / "raw").glob("topic=*/*/*.parquet"))) == 2


@pytest.mark.parametrize("name", ["topic=shop", "kappa [2026]", "my%20project", os.fsdecode(b"\xff")], ids=ascii)
def test_etl_and_elt_are_compared_below_any_name(tmp_path: Path, name: str) -> None:
    lake = tmp_path / name / "lake"
    comparison = EtlElt(archive(lake / "raw", LOG), lake / "compare", RULES, 1, SHOP).run()
    assert (comparison.rows, comparison.accepted) == (24, 24)


def test_a_neighbour_that_the_name_is_a_pattern_of_is_not_read(tmp_path: Path) -> None:
    for name in ("ab", "[a]b"):
        (tmp_path / name).mkdir()
        pq.write_table(pa.table({"name": [name]}), tmp_path / name / "x.parquet")
    with connect(tmp_path, 1) as database:
        assert read_parquet(database, [str(plain(tmp_path / "[a]b") / "x.parquet")]).fetchall() == [("[a]b",)]


def test_a_lake_reached_over_a_link_from_a_plain_name(tmp_path: Path) -> None:
    (tmp_path / "kappa [2026]").mkdir()
    (tmp_path / "lake").symlink_to(tmp_path / "kappa [2026]")
    raw = archive(tmp_path / "lake" / "raw", LOG)
    assert raw.rows_below({CLICKS_0: 12, SALES_0: 5}) == {CLICKS_0: 12, SALES_0: 5}
    assert RawTable(tmp_path / "kappa [2026]" / "raw", SHOP.topics).positions() == raw.positions()


def test_links_that_were_cleaned_up_are_made_again(tmp_path: Path) -> None:
    lake = tmp_path / "a^b"
    raw = archive(lake / "raw", LOG[:12], 1)
    views = ViewStore(lake / "views", SHOP)
    views.make()
    for link in sorted((tmp_path / "links").rglob("*"), reverse=True):
        link.rmdir() if link.is_dir() and not link.is_symlink() else link.unlink()
    assert raw.rows_below({CLICKS_0: 12}) == {CLICKS_0: 12}
    assert archive(lake / "raw", LOG[12:], 1).rows_below({CLICKS_0: 9, SALES_0: 12}) == {CLICKS_0: 9, SALES_0: 12}
    raw.compact()
    assert not list((tmp_path / "links").rglob("*.parquet"))
    views.make()
    assert views.data.is_dir()


def test_a_folder_for_links_that_others_can_change_is_refused(tmp_path: Path) -> None:
    shelf = tmp_path / "links" / f"fourfold-{os.geteuid()}"
    shelf.mkdir()
    shelf.chmod(0o777)
    with pytest.raises(ConfigurationError, match="can be changed by somebody else: remove it, or set TMPDIR"):
        plain(tmp_path / "a^b")


def test_no_place_for_links_is_said_with_both_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not there"))
    monkeypatch.setattr(plain_path, "_LAST_RESORT", tmp_path / "file")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"cannot be made .*: set TMPDIR .*, or FOURFOLD_LAKE to a plain name"):
        plain(tmp_path / "a^b")
