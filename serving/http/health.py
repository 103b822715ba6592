"""The routes for operators: `/healthz`, `/readyz`, `/metrics`."""

from __future__ import annotations

from typing import Final

from anyio.to_thread import run_sync
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from adapters.vitals import Vitals
from core.errors import UnavailableError
from serving.http.problem import documented
from serving.http.sources import Sources

_TAGS: Final = ["Operation"]


class HealthRoutes:
    """Alive: no thread or task has ended by a bug, or hangs. Ready: there is an answer."""

    def __init__(self, sources: Sources, vitals: Vitals, registry: CollectorRegistry) -> None:
        self._sources = sources
        self._vitals = vitals
        self._registry = registry

    def add_to(self, api: FastAPI) -> None:
        """Adds the routes."""
        api.add_api_route(
            "/healthz",
            self.healthz,
            response_class=PlainTextResponse,
            responses=documented(away="A thread of the process is dead; `detail` says which."),
            summary="Alive",
            tags=[*_TAGS],
        )
        api.add_api_route(
            "/readyz",
            self.readyz,
            response_class=PlainTextResponse,
            responses=documented(away="There is no answer now; `detail` says why."),
            summary="Ready",
            tags=[*_TAGS],
        )
        api.add_api_route(
            "/metrics", self.metrics, response_class=PlainTextResponse, summary="Prometheus metrics", tags=[*_TAGS]
        )

    async def healthz(self) -> PlainTextResponse:
        """Whether all threads and tasks of the process live. Stores that are away do not matter here."""
        if trouble := self._vitals.trouble:
            raise UnavailableError(trouble)
        return PlainTextResponse("alive\n")

    async def readyz(self) -> PlainTextResponse:
        """Whether there is an answer."""
        if trouble := self._vitals.trouble:
            raise UnavailableError(trouble)
        self._sources.ticker.answer()
        return PlainTextResponse("ready\n")

    async def metrics(self) -> Response:
        """Requests, latencies, watchers, ticks, and the age of the newest answer."""
        return Response(await run_sync(generate_latest, self._registry), media_type=CONTENT_TYPE_LATEST)
