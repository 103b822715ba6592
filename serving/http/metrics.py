"""Metrics of the API: requests by route and status, latencies, watchers, ticks, age of the answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.delta import REJECTED
from serving.http.broadcast import Broadcast
from serving.http.event_stream import EventStream
from serving.log_ends import LogEnds
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
            "fourfold_api_requests",
            "Requests by route and status; `other`: no route.",
            ["route", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "fourfold_api_request_duration_seconds",
            "Seconds from a request to the end of its answer, streams left out.",
            ["route"],
            registry=registry,
            buckets=_BUCKETS,
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
    """What the ticker and the stream do, and what the answer says, asked at each scrape."""

    def __init__(
        self, ticker: Ticker, broadcast: Broadcast, ends: LogEnds, reasons: Iterable[str], foreign: Callable[[], int]
    ) -> None:
        """`reasons`: why records may be rejected. `foreign`: how many records of somebody else the last reading of dead letters left out."""
        self._ticker = ticker
        self._broadcast = broadcast
        self._ends = ends
        self._reasons = tuple(reasons)
        self._foreign = foreign

    def collect(self) -> Iterable[Metric]:
        """Called for each scrape."""
        tick = self._ticker.newest
        yield CounterMetricFamily("fourfold_api_ticks_total", "Times that the answer was taken.", value=tick.number)
        for name, value, text in (
            ("fourfold_api_answer_age_seconds", self._ticker.age_s, "Seconds since the answer was taken."),
            ("fourfold_api_ready", int(tick.answer is not None), "1 while there is an answer, else 0."),
            ("fourfold_api_watchers", self._broadcast.watchers, "Open streams of counts."),
            (
                "fourfold_api_foreign_records",
                self._foreign(),
                "Records of somebody else that the last reading of the topic dead-letters left out.",
            ),
        ):
            yield GaugeMetricFamily(name, text, value=value)
        lag = GaugeMetricFamily(
            "fourfold_api_lag_records",
            "Records in the log that the answer does not count yet, by partition; none while Kafka is away.",
            labels=["topic", "partition"],
        )
        letters = GaugeMetricFamily(
            "fourfold_api_dead_letters", "Records that the answer counts as rejected, by reason.", labels=["reason"]
        )
        if (answer := tick.answer) is not None:
            for source, end in (self._ends.newest() or {}).items():
                lag.add_metric([source.topic, str(source.partition)], max(0, end - answer.vector.get(source, 0)))
            for reason in self._reasons:
                letters.add_metric([reason], answer.counters.get(REJECTED + reason, 0))
        yield from (lag, letters)


def _route(scope: Scope) -> str:
    return str(getattr(scope.get("route"), "path", "other"))
