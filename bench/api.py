"""api: how fast the API answers while events come in, and what crowds of watchers and of open dashboards cost."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from adapters.embedded.ports import HOST, free_ports
from bench.api_clients import Seen
from bench.contender import SHIPPED, Contender, Run, running
from bench.goals import Goal
from bench.options import Options
from bench.producer import PRODUCER
from bench.proof import Proof, prove_answer
from bench.screen import Screen
from bench.stage import Stage, stage
from bench.waiting import STALL_S, until
from modes.race.latency import Latency, summary
from modes.settings import Settings
from modes.wiring.answers import auditor, merge

RATE: Final = 2000.0
CLIENTS: Final = 50
#: Requests a second of each client.
EACH: Final = 4.0
REQUESTS_S: Final = 15.0
WATCHERS: Final = 500
WATCH_S: Final = 10.0
GOAL_MS: Final = 20.0
#: Short enough for several versions of the batch view while clients ask.
_EPOCH_S: Final = 2.0
_BATCH_S: Final = 5.0
_EVERY_S: Final = 0.2
BATCH: Final = Contender("batch", "batch", ["modes", "batch"])
SERVE: Final = Contender("serve", "API", ["modes", "serve"])


@dataclass(frozen=True, slots=True)
class Api:
    """`requests_share`, `watch_share`, `pages_share`: the server's cores meanwhile. `*frames_per_s`: of one watcher.

    Watchers of the counts, and as many open dashboards.
    """

    rate: float
    requests_per_s: float
    latency: Latency
    requests_share: float
    watchers: int
    frames_per_s: float
    watch_share: float
    page_frames_per_s: float
    pages_share: float
    batch_version: int
    proof: Proof

    def goals(self) -> list[Goal]:
        """One."""
        return [
            Goal(f"API p99 at {self.requests_per_s:,.0f} requests/s", self.latency.p99_ms, "at most", GOAL_MS, " ms")
        ]


def api(options: Options, screen: Screen) -> Api:
    """Measures. Raises `InexactError` where totals shrink, or are not the truth at the end."""
    with stage(keep=options.keep) as here, ExitStack() as stack:
        view = _view(here, "api", api_port=free_ports(1, str(here.directory))[0])
        runs = {
            each.name: stack.enter_context(running(each, here, view.model_copy(update={"group": f"api-{each.name}"})))
            for each in (SHIPPED, BATCH, SERVE)
        }
        source = _view(here, "produce", rate=RATE, seed=options.seed)
        runs["produce"] = stack.enter_context(running(PRODUCER, here, source))
        crowd = _Crowd(here, view, runs)
        screen.say(f"{RATE:,.0f} events/s; waiting for a batch view and an answer")
        until(lambda: _version(view) > 0, "an answer with a batch view", *runs.values())
        screen.say(f"{CLIENTS} clients, {EACH:g} requests/s each, for {REQUESTS_S:g} s")
        asked = crowd.run("requests", CLIENTS, REQUESTS_S)
        screen.say(f"{WATCHERS} watchers for {WATCH_S:g} s")
        watched = crowd.run("watch", WATCHERS, WATCH_S)
        screen.say(f"{WATCHERS} open dashboards for {WATCH_S:g} s")
        opened = crowd.run("pages", WATCHERS, WATCH_S)
        runs.pop("produce").kill()
        screen.say("reading the truth from the log")
        proof = _prove(view, runs)
        version = _version(view)
    latency = summary(np.array(asked.latencies_ms))
    screen.say(f"  right in {proof.cells:,} cells, p99 {latency.p99_ms:.1f} ms")
    return Api(
        rate=RATE,
        requests_per_s=latency.records / asked.seconds,
        latency=latency,
        requests_share=asked.cpu_share,
        watchers=WATCHERS,
        frames_per_s=watched.frames / WATCHERS / watched.seconds,
        watch_share=watched.cpu_share,
        page_frames_per_s=opened.frames / WATCHERS / opened.seconds,
        pages_share=opened.cpu_share,
        batch_version=version,
        proof=proof,
    )


def _view(here: Stage, name: str, **more: Any) -> Settings:
    lake = str(here.directory / "lake")
    return here.view(name, mode="lambda", epoch_seconds=_EPOCH_S, batch_seconds=_BATCH_S, lake=lake, **more)


class _Crowd:
    """Clients in a process of their own."""

    def __init__(self, here: Stage, view: Settings, runs: Mapping[str, Run]) -> None:
        self._here = here
        self._view = view
        self._runs = runs

    def run(self, kind: str, clients: int, seconds: float) -> Seen:
        """What they saw. Raises `FourfoldError` where a role ends meanwhile, or a client is not content."""
        out = self._here.directory / f"{kind}.json"
        address = f"{HOST}:{self._view.api_port}"
        server = self._runs["serve"].processes[0].pid
        arguments = [kind, address, server, clients, EACH, seconds, out]
        crowd = Contender(kind, f"clients ({kind})", ["bench.api_clients", *map(str, arguments)])
        view = self._view.model_copy(update={"group": f"clients-{kind}"})
        with running(crowd, self._here, view) as run:
            run.finish(seconds + STALL_S, _EVERY_S, self._check)
        return Seen.read(out)

    def _check(self) -> None:
        for run in self._runs.values():
            run.check()


def _version(view: Settings) -> int:
    """The version of the batch view that the API answers with; 0 for none, or no answer."""
    try:
        # never over a proxy of the environment
        here = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with here.open(f"http://{HOST}:{view.api_port}/v1/totals", timeout=5) as answer:
            return int(json.load(answer)["provenance"]["batch_version"] or 0)
    except OSError:
        return 0


def _prove(view: Settings, runs: Mapping[str, Run]) -> Proof:
    """The answer that covers the whole log."""
    with auditor(view) as witness:
        ends = witness.ends_now()
    source = merge(view)
    try:
        until(lambda: source.answer().vector == ends, "the views to cover the log", *runs.values())
        return prove_answer("API", view, source.answer())
    finally:
        source.close()
