"""The HTTP API: what the views say, where each number comes from, and the live stream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

from adapters.http.hosts import AllowedHosts
from adapters.vitals import Vitals
from core.declaration.pipeline import Pipeline
from serving.board import Board
from serving.http.broadcast import Broadcast
from serving.http.counts import CountsRoutes
from serving.http.dashboard import add_dashboard
from serving.http.documents import Documents
from serving.http.guard import HostGuard, SecurityHeaders
from serving.http.health import HealthRoutes
from serving.http.letters import LetterRoutes, ReadLetters
from serving.http.live import LiveRoutes
from serving.http.metrics import LiveMetrics, RequestMetrics
from serving.http.pages import add_pages
from serving.http.problem import add_handlers, add_problems
from serving.http.sources import Sources, Trace
from serving.http.versions import VersionRoutes
from serving.log_ends import LogEnds
from serving.provenance import Provenance
from serving.ticker import Ticker
from serving.user_counts import UserCounts

if TYPE_CHECKING:
    # loaded where there is a batch view: pyarrow takes half a second
    from adapters.lake.views import ViewStore

VERSION: Final = "1.0.0"
_DESCRIPTION: Final = """\
STREAMS, counted by one of four architectures: batch, streaming, lambda or kappa.

- **Every answer says where it comes from**: `provenance` names the mode, the version of the batch view, the offsets
  that are counted, the watermark and the lag. `provenance.states` is empty where all is well.
- **No wrong numbers**: while a store is away, or batch and speed view do not meet, the answer is a problem
  ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)) with status 503 and one line that says why.
- **Time** is the time of the events, in whole minutes, UTC. **Money** is integer cents.
- All requests of one moment get the same answer; it is taken anew ten times a second.
"""
_TAGS: Final = [
    {"name": "Counts", "description": "What was counted, from all views together."},
    {"name": "Batch view", "description": "Its versions and the quality of the data below them."},
    {"name": "Events", "description": "Single events."},
    {"name": "Operation", "description": "Health and metrics."},
]


def make_api(
    ticker: Ticker,
    ends: LogEnds,
    users: UserCounts,
    provenance: Provenance,
    pipeline: Pipeline,
    registry: CollectorRegistry,
    views: ViewStore | None = None,
    trace: Trace | None = None,
    letters: ReadLetters | None = None,
    board: Board | None = None,
    vitals: Vitals | None = None,
    wall: Callable[[], float] = time.time,
    hosts: AllowedHosts | None = None,
) -> FastAPI:
    """The application. `ticker`, `ends` and `users` are started and closed by the caller.

    `board`: what the dashboard shows; None for an API without one. `vitals`: is told of all threads and tasks. `letters` as `trace`, in a thread.
    `views`: None in a mode without a batch view. `trace` is called in a worker thread, event id to
    what became of the event or None; it may raise `UnavailableError`. `wall`: seconds since 1970.
    `hosts`: which hosts it answers to; None for those that are always allowed.
    """
    sources = Sources(ticker, ends, users, provenance, views, trace, wall)
    broadcast = Broadcast(sources, Documents(pipeline))
    live = LiveRoutes(board) if board is not None else None
    vitals = vitals or Vitals()
    for name, part in (("ticker", ticker), ("log-ends", ends), ("stream", broadcast), ("board", live)):
        if part is not None:
            _watch(vitals, name, part)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(broadcast.run())
        async with live.running() if live is not None else nullcontext():
            yield
        task.cancel()
        # what ended it before is known: `check` raises it
        with suppress(asyncio.CancelledError, Exception):
            await task

    api = _Api(
        hosts or AllowedHosts(),
        registry,
        title="Fourfold",
        version=VERSION,
        summary="Exact counts of a stream, and where they come from",
        description=_description(pipeline),
        openapi_tags=_TAGS,
        servers=[{"url": "/", "description": "The server that this document is from."}],
        license_info={"name": "Apache 2.0", "identifier": "Apache-2.0"},
        generate_unique_id_function=_operation_id,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    add_handlers(api)
    letter_routes = LetterRoutes(letters)
    registry.register(LiveMetrics(ticker, broadcast, ends, pipeline.reasons, lambda: letter_routes.foreign))
    CountsRoutes(sources, broadcast, pipeline).add_to(api)
    VersionRoutes(sources).add_to(api)
    HealthRoutes(sources, vitals, registry).add_to(api)
    letter_routes.add_to(api)

    def end_streams() -> None:
        ticker.stop()
        if live is not None:
            live.end()

    #: ends all open streams: a server that stops calls it first
    api.state.end_streams = end_streams
    if live is not None:
        live.add_to(api)
        add_dashboard(api)
    add_pages(api)
    return api


def _description(pipeline: Pipeline) -> str:
    *others, last = (stream.replace("_", " ") for stream in pipeline.streams)
    streams = f"{', '.join(others)} and {last}" if others else last
    return _DESCRIPTION.replace("STREAMS", streams.capitalize())


def _watch(vitals: Vitals, name: str, part: Ticker | LogEnds | Broadcast | LiveRoutes) -> None:
    vitals.watch(name, check=part.check, beats=lambda: part.beats)


class _Api(FastAPI):
    """Has the schema of problems, which no route returns but all can answer with, in its document."""

    def __init__(self, hosts: AllowedHosts, registry: CollectorRegistry, **options: Any) -> None:
        super().__init__(**options)
        self._hosts = hosts
        self._registry = registry

    def build_middleware_stack(self) -> ASGIApp:
        """Around all of FastAPI's own, which answers bugs outside of what `add_middleware` adds."""
        guarded = HostGuard(super().build_middleware_stack(), self._hosts)
        return SecurityHeaders(RequestMetrics(guarded, registry=self._registry))

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made once."""
        if self.openapi_schema is None:
            document = get_openapi(
                title=self.title,
                version=self.version,
                summary=self.summary,
                description=self.description,
                tags=self.openapi_tags,
                servers=self.servers,
                license_info=self.license_info,
                routes=self.routes,
            )
            add_problems(document)
            self.openapi_schema = document
        return self.openapi_schema


def _operation_id(route: APIRoute) -> str:
    """`getDeadLetters` of the route `dead_letters`: clients that are generated name their functions so."""
    (method,) = route.methods or {"GET"}
    return method.lower() + route.name.title().replace("_", "")
