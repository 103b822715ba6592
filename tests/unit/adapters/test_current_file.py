"""The current batch view for programs that know nothing of Fourfold: one line each, one version at any moment."""

from __future__ import annotations

import json
import re
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import adapters
from adapters.lake import current_file
from adapters.lake.day_cells import USERS
from adapters.lake.raw_table import SCHEMA as RAW
from adapters.lake.raw_table import RawTable
from adapters.lake.trouble import LakeError
from batch.id_files import IDS
from core.cells import MINUTE_MS
from core.rules import Rules
from tests.support.batch_views import Publisher
from tests.support.events import CLICKS_0, NOW_MS
from tests.support.shop import CELLS, SHOP, cell_of

README = Path(adapters.__file__).parents[1] / "README.md"
NOW = NOW_MS // MINUTE_MS
LAKE = ".fourfold/lake"


def publish(publisher: Publisher, clicks: int) -> None:
    """A version with so many clicks, each half on one of two days."""
    cells = {minute: {("all", ""): cell_of(clicks), ("country", "AT"): cell_of(clicks)} for minute in (NOW, NOW + 1440)}
    publisher.publish(clicks, {CLICKS_0: clicks}, cells)


@pytest.fixture
def publisher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publisher:
    monkeypatch.chdir(tmp_path)
    return Publisher(tmp_path / LAKE / "views", Rules())


def lines(library: str) -> list[str]:
    """What the README tells users of a library to write."""
    section = README.read_text().partition("### The batch view in other programs")[2].partition("\n## ")[0]
    return [line for line in re.findall(r"\| `(import [^`]+)` \|", section) if line.startswith(f"import {library};")]


def run(line: str) -> Any:
    before, _, expression = line.rpartition("; ")
    names: dict[str, Any] = {}
    exec(before, names)
    return eval(expression, names)


@pytest.mark.parametrize("library", ["pandas", "duckdb"])
def test_the_line_of_the_readme_reads_the_current_version_alone(publisher: Publisher, library: str) -> None:
    for clicks in (10, 20, 30):
        publish(publisher, clicks)
    (line,) = lines(library)
    found = run(line)
    frame = found if isinstance(found, pd.DataFrame) else found.df()
    assert frame[frame["dimension"] == "all"]["clicks"].sum() == 60
    assert isinstance(frame["time"].dtype, pd.DatetimeTZDtype)
    assert frame["time"].min() == datetime.fromtimestamp(NOW * 60, UTC)
    publisher.store.rollback(1)
    found = run(line)
    frame = found if isinstance(found, pd.DataFrame) else found.df()
    assert frame[frame["dimension"] == "all"]["clicks"].sum() == 20


def test_the_line_of_the_readme_for_raw_records(publisher: Publisher) -> None:
    RawTable(Path(LAKE) / "raw", SHOP.topics).append(
        pa.table([["clicks"], [0], [0], [NOW_MS], [b"k"], [b"v"]], schema=RAW), {CLICKS_0: (0, 1)}
    )
    (line,) = lines("deltalake")
    assert run(line)["append_ms"].tolist() == [NOW_MS]


def test_each_column_says_what_it_is_and_in_which_unit(publisher: Publisher) -> None:
    publish(publisher, 10)
    found = pq.read_schema(f"{LAKE}/views/current.parquet")
    for schema in (found, CELLS, USERS, IDS, RAW):
        assert all(b"description" in field.metadata for field in schema)
        numbers = [f for f in schema if pa.types.is_timestamp(f.type) or pa.types.is_int64(f.type)]
        assert all(b"unit" in field.metadata for field in numbers if field.name != "offset")
    # for those who know Parquet, but not Arrow
    plain = pq.read_metadata(f"{LAKE}/views/current.parquet").metadata
    assert json.loads(plain[b"columns"])["revenue_cents"] == "revenue of these sales (EUR cents)"
    assert (plain[b"version"], plain[b"covers_below_epoch"]) == (b"1", b"10")


def test_whoever_reads_while_versions_change_has_one_of_them(publisher: Publisher) -> None:
    publish(publisher, 1)
    ended = threading.Event()
    wrong: list[object] = []
    seen: set[int] = set()

    def read() -> None:
        while not ended.is_set():
            frame = pd.read_parquet(f"{LAKE}/views/current.parquet")
            clicks = frame["clicks"].tolist()
            seen.add(clicks[0])
            if len(clicks) != 4 or len(set(clicks)) > 1:
                wrong.append(clicks)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for clicks in range(2, 40):
        publish(publisher, clicks)
    ended.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert len(seen) > 1


def test_one_that_was_not_replaced_is_mended(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(publisher, 10)
    with monkeypatch.context() as patch:

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        patch.setattr(current_file, "replace", full)
        with pytest.raises(LakeError, match="no room is left"):
            publish(publisher, 20)
    folder = publisher.store.folder
    assert (publisher.store.pointer(), current_file.version_of(folder)) == (2, 1)
    publisher.store.mend_current_file()
    assert current_file.version_of(folder) == 2
    for damage in (b"", b"PAR1"):
        (folder / "current.parquet").write_bytes(damage)
        publisher.store.mend_current_file()
        assert current_file.version_of(folder) == 2
    assert list(folder.glob("*.new")) == []
