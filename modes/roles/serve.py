"""`fourfold serve`: the HTTP API."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from adapters.telemetry import Telemetry
from modes.roles.service import stop_event
from modes.settings import Settings
from modes.trace import trace
from modes.wiring import ends_source, merge, provenance, view_store
from serving import server
from serving.api import make_api
from serving.log_ends import LogEnds
from serving.ticker import Ticker
from serving.user_counts import UserCounts

log = structlog.get_logger(__name__)


def serve(settings: Settings) -> None:
    """Serves the API until SIGTERM or SIGINT. Raises `ConfigurationError` where the port is taken."""
    stop = stop_event()
    registry = CollectorRegistry()
    with ExitStack() as stack:
        source, counting = merge(settings), merge(settings)
        stack.callback(source.close)
        stack.callback(counting.close)
        log_ends = ends_source(settings)
        ticker = stack.enter_context(Ticker(source))
        ends = stack.enter_context(LogEnds(log_ends))
        users = stack.enter_context(UserCounts(counting))
        views = view_store(settings) if settings.mode_row.batch_view else None
        api = make_api(
            ticker, ends, users, provenance(settings), registry, views, lambda event: traced(settings, event)
        )
        telemetry = Telemetry(
            settings.metrics_host, settings.metrics_port, registry, lambda: ticker.newest.answer is not None
        )
        stack.callback(telemetry.close)
        server.serve(
            api,
            settings.api_host,
            settings.api_port,
            stop=stop,
            bound=lambda address: log.info("serving", api=f"http://{address}/docs", metrics=telemetry.address),
            closing=ticker.stop,
        )
        ticker.check()
        ends.check()


def traced(settings: Settings, event_id: str) -> dict[str, Any] | None:
    """What became of an event, as JSON; None where it is not in the log. Raises `UnavailableError`."""
    found = trace(settings, event_id)
    return None if found is None else found.as_json()
