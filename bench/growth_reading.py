"""Reading against history: what reading a view costs as its cells grow."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from statistics import median
from typing import Any, Final

import numpy as np

from adapters.embedded.ports import HOST, free_ports
from adapters.speed.jobs import FIRST
from adapters.speed.port import Job
from bench.api import SERVE
from bench.contender import Run, running
from bench.history import History, minutes_of
from bench.options import Options
from bench.redis_use import RedisUse, keep_the_file
from bench.rewriting import product_name
from bench.screen import Screen
from bench.slopes import slope
from bench.stage import Stage
from bench.view_filler import Filled, ViewFiller
from bench.waiting import STALL_S
from core.cells import MINUTE_MS
from core.errors import FourfoldError, InexactError
from core.rfc3339 import to_text
from core.rollup import HOUR
from modes.race.latency import Latency, summary
from modes.settings import Settings
from modes.wiring.speed import jobs
from producers.role import wall_ms

#: Requests of each kind, at most; fewer where they take longer than the seconds below.
REQUESTS: Final = 50
REQUESTS_S: Final = 60.0
_MOST_POINTS: Final = 10_000
_MOST_TOP: Final = 1_000
_EVERY_S: Final = 0.005
_BOUND_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What it costs to read a view of `cells` cells of products, in `minutes` minutes. Times in seconds, of processes that begin.

    Attributes:
        events: That were counted.
        redis_bytes: More than the empty view has.
        fill_s: What it took to fill it, since the size before.
        counts_s: `fourfold counts --json`.
        answer_s: From the start of `fourfold serve` to its first answer.
        loaded_s: And until it answers about spans of time: cells are read after sums.
        resident_mb: Of the API when it had answered everything.
        top_hour: `/v1/top` over the last 60 minutes of the history.
        top_all: The same over all of it.
        series: `/v1/series` over all of it.
    """

    cells: int
    minutes: int
    events: int
    redis_bytes: int
    fill_s: float
    counts_s: float
    answer_s: float
    loaded_s: float
    resident_mb: float
    top_hour: Latency
    top_all: Latency
    series: Latency


TOP_HOUR: Final = "/v1/top over 60 minutes, p50 ms"
#: What is measured, by name: the figure of a view, given that of the empty one. Milliseconds or megabytes.
MEASURES: Final[Mapping[str, Callable[[Reading, Reading], float]]] = {
    "counts --json, ms beyond an empty view": lambda it, empty: (it.counts_s - empty.counts_s) * 1000,
    "API's first answer, ms beyond an empty view": lambda it, empty: (it.answer_s - empty.answer_s) * 1000,
    "API's first span, ms beyond an empty view": lambda it, empty: (it.loaded_s - empty.loaded_s) * 1000,
    "API's memory, MB beyond an empty view": lambda it, empty: it.resident_mb - empty.resident_mb,
    TOP_HOUR: lambda it, _: it.top_hour.p50_ms,
    "/v1/top over all minutes, p50 ms": lambda it, _: it.top_all.p50_ms,
    "/v1/series over all minutes, p50 ms": lambda it, _: it.series.p50_ms,
    "Redis, MB beyond an empty view": lambda it, _: it.redis_bytes / 1e6,
}


@dataclass(slots=True)
class Readings:
    """`empty`: the view before anything was counted. `python_s`: `python -c pass`. `slopes`: by name of a measure."""

    products: int
    python_s: float
    empty: Reading
    sizes: list[Reading] = field(default_factory=list)
    slopes: dict[str, float | None] = field(default_factory=dict)

    def points(self, measure: str) -> list[tuple[float, float]]:
        """(cells, figure) of every size; of an hour only where the history has one."""
        return [
            (each.cells, MEASURES[measure](each, self.empty))
            for each in self.sizes
            if measure != TOP_HOUR or each.minutes >= HOUR
        ]


def readings(here: Stage, options: Options, screen: Screen) -> Readings:
    """Measures. Raises `InexactError` where an answer is not what was counted."""
    keep_the_file(here.redis)
    port = free_ports(1, str(here.directory))[0]
    # the history has no log that an auditor could follow
    view = here.view("growth", mode="kappa", audit=False, api_port=port)
    registry = jobs(view)
    try:
        registry.ensure(Job(FIRST, view.logic, wall_ms()))
    finally:
        registry.close()
    history = History(
        products=options.growth_products,
        start=wall_ms() // MINUTE_MS - minutes_of(max(options.growth_cells), options.growth_products),
        epoch_ms=view.rules.epoch_ms,
        partitions=len({source.partition for source in here.sources()}),
        seed=options.seed,
    )
    reader = _Reader(here, view, history, options.repeat, screen)
    found = Readings(history.products, reader.python_s(), reader.read(0))
    found.sizes = [reader.read(cells) for cells in sorted(options.growth_cells)]
    found.slopes = {measure: slope(found.points(measure)) for measure in MEASURES}
    return found


class _Reader:
    """Fills the view step by step, and measures at each one."""

    def __init__(self, here: Stage, view: Settings, history: History, repeat: int, screen: Screen) -> None:
        self._here = here
        self._view = view
        self._history = history
        self._repeat = repeat
        self._screen = screen
        self._filler = ViewFiller(view.model_copy(update={"job": FIRST}), history)
        self._empty_bytes = 0

    def python_s(self) -> float:
        """The time of a Python that does nothing."""
        return median(self._command_s("-c", "pass")[0] for _ in range(self._repeat))

    def read(self, cells: int) -> Reading:
        """Fills the view up to a number of cells and measures; 0: the empty view."""
        minutes, began = minutes_of(cells, self._history.products), time.perf_counter()
        self._screen.say(f"reading: a view of {cells:,} cells, {minutes:,} minutes")
        self._filler.fill(
            minutes, lambda filled: self._screen.note(f"filling the view: {filled.minutes:,} of {minutes:,} minutes")
        )
        fill_s, filled = time.perf_counter() - began, self._filler.filled
        memory = RedisUse.of(self._here.redis).memory
        if not cells:
            self._empty_bytes = memory
        times = []
        for _ in range(self._repeat):
            seconds, output = self._command_s("-m", "modes", "counts", "--json")
            demand("fourfold counts", json.loads(output)["totals"], _sums(filled))
            times.append(seconds)
        starts = [self._start(filled, requests=number == self._repeat - 1) for number in range(self._repeat)]
        last = starts[-1]
        self._screen.say(
            f"  right in {filled.events:,} events, counts {median(times):.2f} s, first answer "
            f"{median(each.answer_s for each in starts):.2f} s, filled in {fill_s:.1f} s"
        )
        return Reading(
            cells=minutes * self._history.products,
            minutes=minutes,
            events=filled.events,
            redis_bytes=memory - self._empty_bytes,
            fill_s=fill_s,
            counts_s=median(times),
            answer_s=median(each.answer_s for each in starts),
            loaded_s=last.loaded_s,
            resident_mb=last.resident_mb,
            top_hour=summary(np.array(last.top_hour)),
            top_all=summary(np.array(last.top_all)),
            series=summary(np.array(last.series)),
        )

    def _command_s(self, *arguments: str) -> tuple[float, bytes]:
        """Seconds and output of a Python. Raises `FourfoldError` where it does not end well."""
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=self._here.environment(self._view),
            cwd=self._here.directory,
            timeout=_BOUND_S,
            check=False,
        )
        seconds = time.perf_counter() - began
        if done.returncode:
            raise FourfoldError(f"`{' '.join(arguments)}` ended with code {done.returncode}:\n{done.stderr.decode()}")
        return seconds, done.stdout

    def _start(self, filled: Filled, *, requests: bool) -> _Served:
        """Starts the API, and asks it what is asked of it; `requests`: also those that are measured."""
        view = self._view.model_copy(update={"group": "serve"})
        began = time.perf_counter()
        with running(SERVE, self._here, view) as run:
            api = _Api(view.api_port, run)
            totals = api.first("/v1/totals")
            served = _Served(time.perf_counter() - began)
            demand("the API", totals["totals"], _sums(filled))
            if requests:
                api.first("/v1/series")
                served.loaded_s = time.perf_counter() - began
                self._ask(api, filled, served)
                served.resident_mb = run.usage()[1] / 1e6
        return served

    def _ask(self, api: _Api, filled: Filled, served: _Served) -> None:
        # an answer is remembered by its span, so none is asked twice: each time it has one more minute without events
        first, end = self._history.start, self._history.start + max(1, filled.minutes)
        step = -(-(end - first + REQUESTS) // _MOST_POINTS)
        hours = [{"start": _time(end - HOUR), "end": _time(end + more)} for more in range(REQUESTS)]
        spans = [{"start": _time(first - more), "end": _time(end)} for more in range(REQUESTS)]
        products: dict[str, str | int] = {"dimension": "product", "n": 10}
        served.top_hour = api.latencies("/v1/top", [span | products for span in hours])
        served.top_all = api.latencies("/v1/top", [span | products for span in spans])
        served.series = api.latencies("/v1/series", [span | {"step": step} for span in spans])
        _, found = api.asked("/v1/top", spans[0] | products | {"n": _MOST_TOP})
        demand("/v1/top", {each["value"]: each["clicks"] for each in found["values"]}, most_clicked(filled))
        _, found = api.asked("/v1/series", spans[0] | {"step": step})
        sums = {name: sum(point[name] for point in found["points"]) for name in _sums(filled)}
        demand("/v1/series", sums, _sums(filled))


@dataclass(slots=True)
class _Served:
    """What one start of the API has shown. Latencies in ms."""

    answer_s: float
    loaded_s: float = 0.0
    resident_mb: float = 0.0
    top_hour: list[float] = field(default_factory=list)
    top_all: list[float] = field(default_factory=list)
    series: list[float] = field(default_factory=list)


class _Api:
    """Asks the API, past every proxy, each time over a new connection."""

    def __init__(self, port: int, run: Run) -> None:
        self._run = run
        self._port = port

    def first(self, path: str) -> dict[str, Any]:
        """The first answer of a path. Raises `FourfoldError` where the API ends, or has none for long."""
        end = time.monotonic() + _BOUND_S
        while time.monotonic() < end:
            try:
                status, body = self._get(path)
            except (OSError, HTTPException):
                self._run.check()
            else:
                if status == 200:
                    return _document(body)
            time.sleep(_EVERY_S)
        raise FourfoldError(f"the API has no answer after {_BOUND_S:g} s")

    def latencies(self, path: str, requests: Sequence[Mapping[str, str | int]]) -> list[float]:
        """Milliseconds of each, one after the other, of as many as there is time for. Raises as `asked`."""
        end, found = time.monotonic() + REQUESTS_S, [self.asked(path, requests[0])[0]]
        for parameters in requests[1:]:
            if time.monotonic() > end:
                break
            found.append(self.asked(path, parameters)[0])
        return found

    def asked(self, path: str, parameters: Mapping[str, str | int]) -> tuple[float, dict[str, Any]]:
        """Milliseconds to the whole answer, and the answer. Raises `FourfoldError` for any other answer."""
        address = f"{path}?{urllib.parse.urlencode(parameters)}"
        began = time.perf_counter()
        try:
            status, body = self._get(address)
        except (OSError, HTTPException) as error:
            self._run.check()
            raise FourfoldError(f"the API does not answer {address}: {error}") from error
        ms = (time.perf_counter() - began) * 1000
        if status != 200:
            raise FourfoldError(f"the API answers {address} with {status}: {body.decode(errors='replace')}")
        return ms, _document(body)

    def _get(self, address: str) -> tuple[int, bytes]:
        with closing(HTTPConnection(HOST, self._port, timeout=STALL_S)) as connection:
            connection.request("GET", address)
            answer = connection.getresponse()
            return answer.status, answer.read()


def _document(body: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(body)
    return found


def _time(minute: int) -> str:
    return to_text(minute * MINUTE_MS)


def _sums(filled: Filled) -> dict[str, int]:
    return {name: filled.sums[name] for name in ("clicks", "sales", "units", "revenue_cents")}


def most_clicked(filled: Filled) -> dict[str, int]:
    named = [(product_name(number), clicks) for number, clicks in filled.clicks.items()]
    return dict(sorted(named, key=lambda each: (-each[1], each[0]))[:_MOST_TOP])


def demand(who: str, found: Mapping[str, int], expected: Mapping[str, int]) -> None:
    """Raises `InexactError` where an answer differs from what was counted."""
    if dict(found) != dict(expected):
        wrong = [
            f"{name}: {found.get(name)}, not {number}" for name, number in expected.items() if found.get(name) != number
        ]
        raise InexactError(f"{who} says something else than was counted, so its speed says nothing: {wrong[:5]}")
