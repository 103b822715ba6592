"""Metrics of the API: requests by route and status, latencies, watchers, ticks, age of the answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.broadcast import Broadcast
from serving.http.event_stream import EventStream
from serving.ticker import Ticker

_BUCKETS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
_START: Final = "http.response.start"
_STREAM: Final = EventStream.media_type.encode()


class RequestMetrics:
    """An ASGI middleware. Requests of no route are counted together, as `other`."""

    def __init__(
        self, app: ASGIApp, registry: CollectorRegistry, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._app = app
        self._clock = clock
        self._requests = Counter(
            "fourfold_api_requests", "requests by route and status", ["route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "fourfold_api_seconds", "seconds to the end of an answer", ["route"], registry=registry, buckets=_BUCKETS
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Counts a request when its answer begins, and times it when it ends, streams left out."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = self._clock()
        endless = False

        async def counted(message: Message) -> None:
            nonlocal endless
            if message["type"] == _START:
                endless = any(
                    value.startswith(_STREAM) for name, value in message["headers"] if name == b"content-type"
                )
                self._requests.labels(_route(scope), str(message["status"])).inc()
            await send(message)

        try:
            await self._app(scope, receive, counted)
        finally:
            if not endless:
                self._seconds.labels(_route(scope)).observe(self._clock() - began)


class LiveMetrics(Collector):
    """What the ticker and the stream do, asked at each scrape."""

    def __init__(self, ticker: Ticker, broadcast: Broadcast) -> None:
        self._ticker = ticker
        self._broadcast = broadcast

    def collect(self) -> Iterable[Metric]:
        """Called for each scrape."""
        tick = self._ticker.newest
        yield CounterMetricFamily("fourfold_api_ticks", "times that the answer was asked for", value=tick.number)
        for name, value, text in (
            ("answer_age_seconds", self._ticker.age_s, "seconds since the newest tick"),
            ("ready", float(tick.answer is not None), "1 while there is an answer"),
            ("watchers", self._broadcast.watchers, "open streams"),
        ):
            yield GaugeMetricFamily(f"fourfold_api_{name}", text, value=value)


def _route(scope: Scope) -> str:
    return str(getattr(scope.get("route"), "path", "other"))
