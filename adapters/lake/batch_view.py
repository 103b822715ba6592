"""A batch view in memory, and the reader that follows its versions."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.compute as pc

from adapters.lake.day_cells import USERS, DayCells, add_up
from adapters.lake.manifest import Manifest
from adapters.lake.parquet import table_of
from adapters.lake.trouble import DamagedViewError
from adapters.lake.views import Failing, ViewStore
from core.cells import Cell, Cells
from core.cut import Cut
from core.declaration.pipeline import Pipeline
from core.errors import ConfigurationError, FourfoldError, UnavailableError

_MINUTES_A_DAY = 1440


class BatchView:
    """One version, its cells in memory. Immutable."""

    def __init__(self, manifest: Manifest, days: Mapping[str, DayCells], data: Path) -> None:
        """`days`: date to its cells."""
        self.manifest = manifest
        self.days = days
        self.totals = add_up(days)
        self._data = data

    @property
    def cut(self) -> Cut:
        """What it covers."""
        return self.manifest.cut

    def cells(self) -> Cells:
        """All cells."""
        out: Cells = {}
        for day in self.days.values():
            out |= day.cells()
        return out

    def between(self, start: int, end: int) -> dict[tuple[str, str], Cell]:
        """Sums by (dimension, value) over minutes `start` (included) to `end` (left out)."""
        out: dict[tuple[str, str], Cell] = {}
        for day in self._days_of(start, end):
            for key, cell in day.between(start, end).items():
                old = out.get(key)
                out[key] = cell if old is None else old.plus(cell)
        return out

    def series(self, key: tuple[str, str], start: int, end: int) -> dict[int, Cell]:
        """Minute to cell of one (dimension, value)."""
        return {m: c for day in self._days_of(start, end) for m, c in day.series(key, start, end).items()}

    def users(self, start: int, end: int) -> set[str]:
        """The users of minutes `start` (included) to `end` (left out), exact. Raises `DamagedViewError`."""
        found: set[str] = set()
        for date, name in self.manifest.users.items():
            if start < _first_minute(date) + _MINUTES_A_DAY and end > _first_minute(date):
                table = table_of(self._data / name, USERS, DamagedViewError)
                within = pc.and_(pc.greater_equal(table["minute"], start), pc.less(table["minute"], end))
                found.update(table.filter(within)["user"].unique().to_pylist())
        return found

    def _days_of(self, start: int, end: int) -> Iterable[DayCells]:
        return [
            day
            for date, day in self.days.items()
            if start < _first_minute(date) + _MINUTES_A_DAY and end > _first_minute(date)
        ]


class BatchViews:
    """Gives the current version, loading what changed since the last one. For any number of threads.

    While the current version cannot be read, the one that was read before it goes on answering.
    """

    def __init__(self, store: ViewStore, pipeline: Pipeline) -> None:
        self._store = store
        self._pipeline = pipeline
        self._lock = threading.Lock()
        self._view: BatchView | None = None
        self._files: dict[str, DayCells] = {}
        self._unreadable: Failing | None = None

    def current(self) -> BatchView | None:
        """The current version; None before the first one. Raises `UnavailableError` where none was read before."""
        with self._lock:
            try:
                number = self._pointer()
                if self._view is None or self._view.manifest.version != number or self._unreadable is not None:
                    manifest = self._store.current()
                    self._view = None if manifest is None else self._load(manifest)
                self._unreadable = None
            except (UnavailableError, ConfigurationError, OSError, ValueError) as error:
                said = str(error) if isinstance(error, FourfoldError) else f"the batch view cannot be read: {error}"
                if self._view is None:
                    raise UnavailableError(said) from error
                since_ms = int(time.time() * 1000) if self._unreadable is None else self._unreadable.since_ms
                self._unreadable = Failing(since_ms, said)
            return self._view

    def failing(self) -> Failing | None:
        """Why there is no newer version; None where the last batch cycle went well, and its version can be read."""
        return self._unreadable or self._store.failing()

    def _pointer(self) -> int:
        number = self._store.pointer()
        if not number and self._view is not None:
            raise UnavailableError(f"{self._store.folder} has no current version any more: did somebody remove it?")
        return number

    def _load(self, manifest: Manifest) -> BatchView:
        self._store.check_meaning(manifest)
        data = self._store.data
        files = {
            name: self._files.get(name) or DayCells(data / name, self._pipeline) for name in manifest.cells.values()
        }
        self._files = files
        return BatchView(manifest, {date: files[name] for date, name in manifest.cells.items()}, data)


def _first_minute(date: str) -> int:
    return (datetime.fromisoformat(date).replace(tzinfo=UTC) - _EPOCH) // timedelta(minutes=1)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
