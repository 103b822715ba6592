"""Builds small real versions of a batch view: Parquet files, a manifest, a pointer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from adapters.lake.manifest import Manifest, PartitionState
from adapters.lake.views import ViewStore
from batch.day_files import date_of
from core.cells import Cell
from core.cut import Cut
from core.position import PartitionKey
from core.rules import Rules
from tests.support.events import NOW_MS
from tests.support.shop import CELLS, MEASURES, SHOP

_USERS = pa.schema([("minute", pa.int32()), ("user", pa.string())])


class Publisher:
    """Publishes versions into the folder `path`."""

    def __init__(self, path: Path, rules: Rules) -> None:
        self.store = ViewStore(path, SHOP)
        self.store.make()
        self._rules = rules

    def publish(
        self,
        epoch: int,
        vector: Mapping[PartitionKey, int],
        cells: Mapping[int, Mapping[tuple[str, str], Cell]] | None = None,
        users: Mapping[int, Iterable[str]] | None = None,
        created_ms: int = NOW_MS,
        **more: Any,
    ) -> Manifest:
        """`cells`, `users`: by minute. `more`: further fields of the manifest."""
        number = self.store.next_number()
        manifest = Manifest(
            version=number,
            cut=Cut(epoch, dict(vector)),
            rules=self._rules.encode(),
            logic="v1",
            engine="tests",
            full=True,
            created_ms=created_ms,
            partitions={s: PartitionState(epoch=epoch - 1, newest_ms=NOW_MS, appended_ms=NOW_MS) for s in vector},
            cells=self._write("cells", number, CELLS, _cell_rows(cells or {})),
            users=self._write("users", number, _USERS, _user_rows(users or {})),
            **more,
        )
        self.store.publish(manifest)
        return manifest

    def _write(self, kind: str, number: int, schema: pa.Schema, rows: list[dict[str, Any]]) -> dict[str, str]:
        by_date: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            by_date[date_of(row["minute"] // 1440)].append(row)
        names = {}
        for date, of_date in by_date.items():
            names[date] = f"{kind}-{number}-{date}.parquet"
            pq.write_table(pa.Table.from_pylist(of_date, schema=schema), self.store.data / names[date])
        return names


def _cell_rows(cells: Mapping[int, Mapping[tuple[str, str], Cell]]) -> list[dict[str, Any]]:
    return [
        {"minute": minute, "dimension": dimension, "value": value, **dict(zip(MEASURES, cell, strict=True))}
        for minute, part in sorted(cells.items())
        for (dimension, value), cell in sorted(part.items())
    ]


def _user_rows(users: Mapping[int, Iterable[str]]) -> list[dict[str, Any]]:
    return [{"minute": minute, "user": user} for minute, names in sorted(users.items()) for user in sorted(set(names))]
