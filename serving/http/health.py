"""The routes for operators: `/healthz`, `/readyz`, `/metrics`."""

from __future__ import annotations

from typing import Final

from anyio.to_thread import run_sync
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from serving.http.broadcast import Broadcast
from serving.http.problem import documented
from serving.http.sources import Sources

_TAGS: Final = ["Operation"]


class HealthRoutes:
    """Alive: no part has ended by a bug. Ready: there is an answer."""

    def __init__(self, sources: Sources, broadcast: Broadcast, registry: CollectorRegistry) -> None:
        self._sources = sources
        self._broadcast = broadcast
        self._registry = registry

    def add_to(self, api: FastAPI) -> None:
        """Adds the routes."""
        api.add_api_route("/healthz", self.healthz, response_class=PlainTextResponse, summary="Alive", tags=[*_TAGS])
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
        """Whether the process works. Stores that are away do not matter here."""
        self._sources.ticker.check()
        self._sources.ends.check()
        self._broadcast.check()
        return PlainTextResponse("alive\n")

    async def readyz(self) -> PlainTextResponse:
        """Whether there is an answer."""
        self._sources.ticker.answer()
        return PlainTextResponse("ready\n")

    async def metrics(self) -> Response:
        """Requests, latencies, watchers, ticks, and the age of the newest answer."""
        return Response(await run_sync(generate_latest, self._registry), media_type=CONTENT_TYPE_LATEST)
