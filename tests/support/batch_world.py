"""Batch cycles over a small raw table that is archived already."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from adapters.lake.manifest import Manifest
from adapters.lake.raw_table import RawTable
from adapters.lake.views import ViewStore
from batch.archive import ArchiveReport
from batch.completeness import Completeness
from batch.cycle import Cycle, Engine, KeepLetters
from core.rules import Rules
from tests.support.events import NOW_MS
from tests.support.raw_log import archive, cut_at, last_cut, shop_log
from tests.support.shop import SHOP

RULES = Rules()
#: across midnight, with gaps, duplicates and all kinds of dirt
LOG = shop_log(7, 600, start_ms=NOW_MS + 86_400_000 - 30_000)
HALF, WHOLE = cut_at(LOG, RULES.epoch_of(NOW_MS + 86_400_000), RULES), last_cut(LOG, RULES)


class _Archived:
    """Everything is archived already."""

    def run(self, vector: Any) -> ArchiveReport:
        return ArchiveReport(0, 0, vector)


class BatchWorld:
    """Cycles over one raw table, with either engine."""

    def __init__(self, path: Path) -> None:
        """`path`: empty, or a copy of another one's."""
        self.raw = RawTable(path / "raw", SHOP.topics) if (path / "raw").exists() else archive(path / "raw", LOG, 8)
        self.views = ViewStore(path / "views", SHOP)
        self.views.make()
        self.complete = Completeness(self.raw, self.views.data, SHOP)
        self.cut = WHOLE

    def run(self, engine: Callable[..., Engine], *, full: bool = False) -> Manifest:
        """Publishes a version at `cut`."""
        version = self.cycle(engine).run(full=full).version
        assert version is not None
        return version

    def cycle(self, engine: Callable[..., Engine], letters: KeepLetters | None = None) -> Cycle:
        """What makes versions at `cut`."""
        return Cycle(
            lambda: self.cut,
            _Archived(),  # type: ignore[arg-type]
            engine(self.raw, self.views.data, RULES, 1, SHOP),
            self.views,
            lambda _: ({}, []),
            None,
            complete=self.complete,
            letters=letters,
        )
