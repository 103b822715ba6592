"""One batch cycle: cut, archive, recompute, check, publish, and only then let speed state expire."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import structlog

from adapters.lake.manifest import Manifest
from adapters.lake.trouble import DamagedViewError, in_words
from adapters.lake.views import ViewStore
from adapters.speed.port import SpeedFloor
from batch.archive import Archive
from core.cut import Cut
from core.errors import FourfoldError

log = structlog.get_logger(__name__)

#: Raw rows are gathered into larger files after so many versions.
TIDY_EVERY = 10


class QualityError(FourfoldError):
    """A quality rule of severity `error` failed: the version was not published."""


class Engine(Protocol):
    """Makes a version of the batch view (`batch.recompute`, `batch.duckdb_engine`)."""

    def run(self, cut: Cut, previous: Manifest | None, *, version: int, created_ms: int, full: bool) -> Manifest:
        """Writes its files; the manifest is not published yet."""


class Completeness(Protocol):
    """Looks whether a version covers all that it should (`batch.completeness`)."""

    def __call__(self, manifest: Manifest) -> None:
        """Raises `InexactError` where it does not."""


class KeepLetters(Protocol):
    """Keeps what is rejected between the cut of a version and the one before (`batch.letters`)."""

    def __call__(self, cut: Cut, previous: Manifest | None) -> int:
        """How many letters. Raises `UnavailableError`."""


class Quality(Protocol):
    """Runs the quality rules on a version."""

    def __call__(self, manifest: Manifest) -> tuple[Mapping[str, Any], list[str]]:
        """The report, and what forbids the publication, in words."""


@dataclass(frozen=True, slots=True)
class CycleReport:
    """What a cycle did. `version`: None where there was nothing new. Seconds by phase."""

    version: Manifest | None
    archived: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)


class Cycle:
    """Composes the steps. A kill anywhere leaves what the next cycle puts right."""

    def __init__(
        self,
        find_cut: Callable[[], Cut],
        archive: Archive,
        engine: Engine,
        views: ViewStore,
        quality: Quality,
        floor: SpeedFloor | None,
        *,
        complete: Completeness,
        letters: KeepLetters | None = None,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`floor`: of the speed view that the batch view covers; None without one. `letters`: None where somebody else
        keeps rejected records.
        """  # noqa: D205 - one sentence for each argument
        self._find_cut = find_cut
        self._archive = archive
        self._engine = engine
        self._views = views
        self._quality = quality
        self._complete = complete
        self._letters = letters
        self._floor = floor
        self._wall = wall
        self._clock = clock

    def run(self, *, full: bool = False) -> CycleReport:
        """Runs one cycle. `full`: from all raw rows, also where nothing is new.

        Raises `QualityError` where the rules forbid the publication, `PublishedBeforeError` where
        another process published meanwhile, `UnavailableError` where a server is away, `LakeError` where the lake is full,
        read-only or damaged, and
        `InexactError` where the cut, the archive or what the engine made is not sound: the old
        version stays. Readers of the views are told of a failure, whatever it is.
        """
        try:
            report = self._run_told(full=full)
        except Exception as error:
            self._tell(error)
            raise
        self._views.tell_success()
        return report

    def _tell(self, error: Exception) -> None:
        reason = str(error) if isinstance(error, FourfoldError) else f"{type(error).__name__}: {error}"
        self._views.tell_failure(reason, int(self._wall() * 1000))

    def _run_told(self, *, full: bool) -> CycleReport:
        try:
            return self._run(full=full)
        except OSError as error:
            # of the folder of views, where it spills, too: the raw table tells its own
            raise in_words(error, self._views.folder) from error

    def _previous(self) -> Manifest | None:
        """The current version; None also where it cannot be read, and is replaced."""
        try:
            self._views.mend_current_file()
            return self._views.current()
        except DamagedViewError as error:
            log.warning("the current version cannot be read: all is counted again", reason=str(error))
            return None

    def _make(self, cut: Cut, previous: Manifest | None, *, full: bool) -> Manifest:
        manifest = self._engine.run(
            cut, previous, version=self._views.next_number(), created_ms=int(self._wall() * 1000), full=full
        )
        self._complete(manifest)
        return manifest

    def _run(self, *, full: bool) -> CycleReport:
        laps: dict[str, float] = {}
        began = self._clock()

        def lap(name: str) -> None:
            nonlocal began
            laps[name], began = round(self._clock() - began, 3), self._clock()

        self._views.make()
        previous = self._previous()
        cut = self._find_cut()
        if previous is not None and cut.epoch <= previous.cut.epoch:
            if not full:
                return CycleReport(None)
            cut = previous.cut
        lap("cut")
        archived = self._archive.run(cut.vector).records
        lap("archive")
        try:
            manifest = self._make(cut, previous, full=full)
        except DamagedViewError as error:
            if full or previous is None:
                raise
            log.warning("the version before cannot be gone on from: all is counted again", reason=str(error))
            manifest = self._make(cut, previous, full=True)
        lap("recompute")
        report, forbidding = self._quality(manifest)
        if forbidding:
            raise QualityError(
                f"version {manifest.version} is not published, the one before stays: {'; '.join(forbidding)}"
            )
        lap("quality")
        if self._letters is not None:
            self._letters(cut, previous)
            lap("letters")
        manifest = replace(manifest, quality=report)
        self._views.publish(manifest)
        lap("publish")
        if previous is not None and self._floor is not None:
            # readers may still hold the version before, and a rollback needs its epochs
            self._floor.raise_floor(previous.cut.epoch)
        self._views.vacuum()
        if manifest.version % TIDY_EVERY == 0:
            self._archive.tidy()
        lap("tidy")
        return CycleReport(manifest, archived, laps)
