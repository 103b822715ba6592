"""The routes of the batch view's versions, and of single events: quality, versions, trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import anyio
from anyio.to_thread import run_sync
from fastapi import FastAPI, Path

from adapters.lake.manifest import Manifest
from core.delta import ACCEPTED
from core.errors import UnavailableError
from core.rfc3339 import to_text
from serving.answer import NO_BATCH_VIEW
from serving.http.models import QualityReport, Traced, Versions
from serving.http.problem import documented, missing
from serving.http.sources import Sources

if TYPE_CHECKING:
    # loaded where there is a batch view: pyarrow takes half a second
    from adapters.lake.views import ViewStore

#: Traces read the log: so many at once.
_TRACES: Final = 2
_AWAY: Final = "No answer now: a store is away, or there is no batch view yet."


class VersionRoutes:
    """Answers from the manifests of the batch view and, for traces, from the log."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._tracing = anyio.CapacityLimiter(_TRACES)

    def add_to(self, api: FastAPI) -> None:
        """Adds the routes."""
        api.add_api_route(
            "/v1/quality",
            self.quality,
            response_model=QualityReport,
            responses=documented(missing="No quality rules ran, or the mode has no batch view.", away=_AWAY),
            summary="Data quality",
            tags=["Batch view"],
        )
        api.add_api_route(
            "/v1/versions",
            self.versions,
            response_model=Versions,
            responses=documented(missing="The mode has no batch view.", away=_AWAY),
            summary="Versions",
            tags=["Batch view"],
        )
        api.add_api_route(
            "/v1/trace/{event_id}",
            self.trace,
            response_model=Traced,
            responses=documented(
                wrong="A parameter is wrong; `detail` names it.",
                missing="The event is not in the log, or events are not traced here.",
                away="Kafka or a store is away.",
            ),
            summary="Trace one event",
            tags=["Events"],
        )

    async def quality(self) -> dict[str, Any]:
        """The report of the quality rules on the version that answers come from."""
        self._views()
        answer = self._sources.ticker.answer()
        if answer.batch is None:
            raise UnavailableError(f"{NO_BATCH_VIEW}: the batch role makes one (`fourfold batch --once`)")
        manifest = answer.batch.manifest
        if not manifest.quality:
            raise missing(f"no quality rules ran on version {manifest.version}")
        return {
            "version": manifest.version,
            "report": dict(manifest.quality),
            "provenance": self._sources.said(answer),
        }

    async def versions(self) -> dict[str, Any]:
        """The versions of the batch view that are kept, the oldest first; any of them can be gone back to."""
        views = self._views()
        answer = self._sources.ticker.answer()
        return {
            "versions": await run_sync(self._listed, views),
            "provenance": self._sources.said(answer),
        }

    async def trace(
        self,
        event_id: Annotated[
            str,
            Path(
                min_length=1,
                max_length=64,
                description="The `id` of the CloudEvents document.",
                examples=["7-65a1b2c3-1f-1204"],
            ),
        ],
    ) -> dict[str, Any]:
        """Where one event is in the log, what was decided about it and where it counts."""
        if self._sources.trace is None:
            raise missing("events are not traced here")
        answer = self._sources.ticker.answer()
        found = await run_sync(self._sources.trace, event_id, limiter=self._tracing, abandon_on_cancel=True)
        if found is None:
            raise missing(f"the event {event_id!r} is not in the log")
        return {"event_id": event_id, "trace": found, "provenance": self._sources.said(answer)}

    def _views(self) -> ViewStore:
        if self._sources.views is None:
            raise missing(f"the mode {self._sources.provenance.mode} has no batch view")
        return self._sources.views

    def _listed(self, views: ViewStore) -> list[dict[str, Any]]:
        try:
            current = views.pointer()
            manifests = views.versions()
        except (OSError, ValueError) as error:
            raise UnavailableError(f"the versions cannot be read, try again: {error}") from error
        return [self._version(manifest, current) for manifest in manifests]

    def _version(self, manifest: Manifest, current: int) -> dict[str, Any]:
        epoch = manifest.cut.epoch
        return {
            "version": manifest.version,
            "current": manifest.version == current,
            "cut": {"epoch": epoch, "time": to_text(epoch * self._sources.provenance.rules.epoch_ms)},
            "created": to_text(manifest.created_ms),
            "full": manifest.full,
            "engine": manifest.engine,
            "accepted": manifest.counters.get(ACCEPTED, 0),
            "files": len(manifest.files()),
        }
