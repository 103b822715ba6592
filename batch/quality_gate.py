"""The gate before a publication: the quality rules, run on what a new version covers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from adapters.lake.day_cells import DayCells
from adapters.lake.manifest import Manifest
from adapters.lake.raw_table import RawTable
from batch.quality import check
from batch.quality_frames import SAMPLE_ROWS, RawPart, hours_frame, sample_frames, totals_frame
from batch.quality_rules import Rule
from core.cells import Cell, CellKey
from core.declaration.pipeline import ALL, Pipeline
from core.errors import ConfigurationError, UnavailableError


class QualityGate:
    """Calls are `batch.cycle.Quality`. Rules are read anew each time: users edit the file while it runs."""

    def __init__(
        self,
        raw: RawTable,
        folder: Path,
        rules: Callable[[], Sequence[Rule]],
        wall: Callable[[], float],
        pipeline: Pipeline,
    ) -> None:
        """`folder`: where the files of versions are; `wall`: seconds since 1970."""
        self._raw = raw
        self._folder = folder
        self._rules = rules
        self._wall = wall
        self._pipeline = pipeline
        self._readable = False

    def __call__(self, manifest: Manifest) -> tuple[Mapping[str, Any], list[str]]:
        """The report as JSON, and the failed checks that forbid the publication.

        Raises `ConfigurationError` where the rules never could be read, `UnavailableError` where they could before.
        """
        frames = sample_frames(self._newest(manifest), self._pipeline)
        frames["hours"] = hours_frame(self._minutes(manifest), self._pipeline)
        frames["totals"] = totals_frame(manifest.counters)
        report = check(self._read_rules(), frames, now_ms=int(self._wall() * 1000))
        return report.as_json(), [failed.text() for failed in report.blocking]

    def _read_rules(self) -> Sequence[Rule]:
        try:
            rules = self._rules()
        except ConfigurationError as error:
            if not self._readable:
                raise
            # whoever edits it is not done, or will be told
            raise UnavailableError(f"{error}; nothing is published until then") from error
        self._readable = True
        return rules

    def _newest(self, manifest: Manifest) -> Iterator[RawPart]:
        vector = manifest.cut.vector
        for source, end in vector.items():
            share = SAMPLE_ROWS // sum(other.topic == source.topic for other in vector)
            yield RawPart(source.topic, source.partition, self._raw.scan(source, max(0, end - share), end))

    def _minutes(self, manifest: Manifest) -> dict[int, Cell]:
        """Minutes of the newest two dates: a day profile fits into them, a long history does not matter."""
        minutes: dict[int, Cell] = {}
        for date in sorted(manifest.cells)[-2:]:
            cells = DayCells(self._folder / manifest.cells[date], self._pipeline).cells()
            minutes |= {key.minute: cell for key, cell in cells.items() if key == CellKey(key.minute, ALL, "")}
        return minutes
