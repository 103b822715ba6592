"""`fourfold serve`: the HTTP API."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import structlog

from adapters.kafka.dead_letters import newest_dead_letters
from adapters.telemetry import Telemetry, process_registry
from adapters.vitals import Pulse, Vitals
from modes import running
from modes.pipelines import pipeline_of
from modes.replay import Replay
from modes.roles.service import stop_event
from modes.settings import Settings
from modes.wiring.answers import auditor, merge, provenance
from modes.wiring.kafka import ends_source
from modes.wiring.lake import view_store
from serving import server
from serving.api import make_api
from serving.auditor import LiveAuditor
from serving.board import Board, BoardSettings
from serving.http.letters import SHOWN_BYTES
from serving.live import TruthSource, Unaudited
from serving.log_ends import LogEnds
from serving.ticker import Ticker
from serving.user_counts import UserCounts

log = structlog.get_logger(__name__)

#: Health says so long which thread is dead, before the process ends: whoever looks every ten seconds, as Kubernetes does
#: unless told otherwise, sees it.
LINGER_S = 10.0


def serve(settings: Settings) -> None:
    """Serves the API until SIGTERM or SIGINT. Raises `ConfigurationError` where the port is taken."""
    stop = stop_event()
    registry = process_registry()

    def dashboard_at(address: str) -> str:
        return f"{replace(settings.api, port=int(address.rpartition(':')[2])).url}/"

    vitals, pulse = Vitals(), Pulse()
    vitals.watch("server", beats=lambda: pulse.beats)
    with ExitStack() as stack:
        stack.enter_context(vitals.running(stop.set, linger_s=LINGER_S))
        source = merge(settings, whole=False)
        stack.callback(source.close)
        ticker = stack.enter_context(Ticker(source))
        ends = stack.enter_context(LogEnds(ends_source(settings)))
        users = stack.enter_context(UserCounts(ticker))
        views = view_store(settings) if settings.mode_row.batch_view else None
        api = make_api(
            ticker,
            ends,
            users,
            provenance(settings),
            pipeline_of(settings),
            registry,
            views,
            lambda event: traced(settings, event),
            lambda limit: newest_dead_letters(settings.access, pipeline_of(settings), limit, SHOWN_BYTES),
            Board(
                _board_settings(settings, stack),
                ticker,
                users,
                _truth(settings, ends, stack, vitals),
                provenance(settings),
            ),
            vitals,
            hosts=settings.allowed_hosts,
        )
        telemetry = Telemetry(
            settings.metrics_host,
            settings.metrics_port,
            registry,
            lambda: ticker.newest.answer is not None,
            lambda: vitals.trouble,
            settings.allowed_hosts,
        )
        stack.callback(telemetry.close)
        server.serve(
            api,
            settings.api_host,
            settings.api_port,
            stop=stop,
            bound=lambda address: log.info("serving", dashboard=dashboard_at(address), metrics=telemetry.address),
            closing=api.state.end_streams,
            ticked=pulse.beat,
        )
        vitals.check()


def _truth(settings: Settings, ends: LogEnds, stack: ExitStack, vitals: Vitals) -> TruthSource:
    if not settings.audit:
        return Unaudited(ends.newest)
    follower = LiveAuditor(lambda: auditor(settings))
    vitals.watch("auditor", check=follower.check, beats=lambda: follower.beats)
    follower.start()
    stack.callback(follower.stop)
    return follower


def _board_settings(settings: Settings, stack: ExitStack) -> BoardSettings:
    return BoardSettings(
        mode=settings.mode_row.as_json(),
        pipeline=pipeline_of(settings),
        batch_s=settings.batch_seconds if settings.mode_row.batch_view else 0.0,
        views=view_store(settings) if settings.mode_row.batch_view else None,
        jobs=stack.enter_context(Replay(settings)).standing if settings.mode_row.job_versions else None,
        processes=lambda: _supervised(settings),
    )


def _supervised(settings: Settings) -> list[dict[str, Any]]:
    """Roles and embedded servers that an `up` keeps running."""
    found = running.read(settings.data_dir) or {}
    return [*found.get("roles", []), *found.get("servers", [])]


def traced(settings: Settings, event_id: str) -> dict[str, Any] | None:
    """What became of an event, as JSON; None where it is not in the log. Raises `UnavailableError`."""
    from modes.trace import trace

    found = trace(settings, event_id)
    return None if found is None else found.as_json()
