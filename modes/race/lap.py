"""A lap: one mode on the race's traffic, in servers that nobody else uses, watched from outside."""

from __future__ import annotations

import http.client
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from adapters.embedded.servers import Addresses, EmbeddedServers
from core.errors import FourfoldError, UnavailableError
from core.position import Vector
from modes.bugfix import SHORT, BugfixDrill
from modes.catalogue import Role, mode_named
from modes.crew import Crew
from modes.pipelines import pipeline_of
from modes.race.complexity import complexity_of
from modes.race.freshness import PERCENTILES, freshness
from modes.race.log_facts import LogFacts, facts_of
from modes.race.looks import Look, Looks, close
from modes.race.plan import Plan
from modes.race.poller import Poller
from modes.race.recovery import Recovery
from modes.race.storage import stored
from modes.race.throughput import Throughput
from modes.race.usage import Usage
from modes.settings import Settings
from modes.up import api_port
from modes.wiring.answers import auditor, merge
from modes.wiring.kafka import ends_source, topics, wait_for_topics
from modes.wiring.servers import addressed, embedded

LOOK_EVERY_S: Final = 2.0
#: Records of the first seconds, while parts still warm up, do not count for freshness.
WARM_UP_S: Final = 4.0
#: A part must be there, and the last record in an answer, within so long.
BOUND_S: Final = 120.0
_TICK_S: Final = 0.05
#: Of the repair drill: history, streaming's window, and the most events a second.
HISTORY_S: Final = 10.0
REPAIR_WINDOW_S: Final = 20.0
REPAIR_RATE: Final = 1_000.0


class Lap:
    """One mode, once. `progress` gets words for people."""

    def __init__(self, plan: Plan, usual: Settings, mode: str, progress: Callable[[str], None]) -> None:
        self._plan = plan
        self._usual = usual
        self._row = mode_named(mode)
        self._progress = progress

    def run(self) -> dict[str, Any]:
        """What was measured. Raises `FourfoldError` where a part cannot run or go on."""
        self._usual.data_dir.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix="race-", dir=self._usual.data_dir) as folder:
            found = self._race(Path(folder) / "race")
            if self._plan.repair:
                found["repair"] = self._repair(Path(folder) / "repair")
        return {"mode": self._row.name, **found, "complexity": complexity_of(self._row).as_json()}

    def _race(self, folder: Path) -> dict[str, Any]:
        settings = self._plan.settings(self._usual, self._row.name, folder)
        with ExitStack() as stack:
            self._progress("starting")
            servers = stack.enter_context(embedded(settings))
            settings = _addressed(settings, servers)
            wait_for_topics(settings)
            crew = stack.enter_context(
                Crew(
                    settings,
                    without=[Role.PRODUCE],
                    batch_every=settings.batch_seconds,
                    # a race with a server that was started again would measure that
                    needs=lambda: _running(servers),
                ).start()
            )
            source = merge(settings)
            stack.callback(source.close)
            looks = Looks(source, stack.enter_context(auditor(settings)), pipeline_of(settings), ends_source(settings))
            usage = Usage(lambda: _pids(crew, servers))
            poller = Poller(settings.api.near_host, settings.api_port)
            self._until_ready(crew, settings)
            for thread in (usage, poller):
                thread.start()
                stack.callback(thread.stop)
            measured = self._traffic(crew, settings, looks, usage, poller)
            if self._plan.throughput:
                fresh_s = measured["freshness"]["p99"]
                measured["throughput"] = Throughput(crew, poller, looks, usage, self._progress).run(fresh_s)
            if self._plan.faults:
                measured["recovery"] = Recovery(crew, poller, looks, self._progress).run()
            return measured

    def _until_ready(self, crew: Crew, settings: Settings) -> None:
        """The API listens; where it can answer without a record, it does."""
        end = time.monotonic() + BOUND_S
        path = "/healthz" if self._row.batch_view else "/readyz"
        while time.monotonic() < end:
            crew.tick()
            crew.check()
            connection = http.client.HTTPConnection(settings.api.near_host, settings.api_port, timeout=2)
            try:
                connection.request("GET", path)
                if connection.getresponse().status == 200:  # noqa: PLR2004 - HTTP's
                    return
            except (OSError, http.client.HTTPException):
                pass
            finally:
                connection.close()
            time.sleep(_TICK_S)
        raise UnavailableError(f"the API is not ready after {BOUND_S:g} s: see the logs of the roles")

    def _traffic(self, crew: Crew, settings: Settings, looks: Looks, usage: Usage, poller: Poller) -> dict[str, Any]:
        usage.sample()
        cpu_before = usage.cpu_s()
        producer = crew.produce("--events", str(self._plan.events))
        began, began_ms = time.monotonic(), time.time() * 1000
        next_look, ended = began, 0.0
        ends: Vector = {}
        while True:
            crew.tick()
            crew.check()
            now = time.monotonic()
            if producer.state == "done" and not ended:
                ended, ends = now, looks.ends()
            if now >= next_look:
                next_look = now + LOOK_EVERY_S
                looks.look(began)
                passed = now - began
                self._progress(
                    f"{sum(poller.changes[-1][1].values()) if poller.changes else 0:,} of {self._plan.events:,} records "
                    f"in an answer, {passed:.0f} of {self._plan.seconds:.0f} s"
                )
            if ended and poller.covered_ms(ends) is not None and looks.settled(ends):
                break
            if now - began > self._plan.seconds + BOUND_S:
                raise UnavailableError(f"{self._row.name} has not counted all {BOUND_S:g} s after the last record")
            time.sleep(_TICK_S)
        self._progress("reading the log and the stores")
        usage.sample()
        cpu = {role: used - cpu_before.get(role, 0.0) for role, used in usage.cpu_s().items()}
        last = looks.look(began)
        if last is None:
            raise UnavailableError(f"{self._row.name} has no answer at the end")
        facts = facts_of(settings, topics(settings).partitions())
        warm = [each for each in facts.appended if each[2] >= began_ms + WARM_UP_S * 1000]
        millions = self._plan.events / 1e6
        asked = np.array([ms for due, ms in poller.latencies if began_ms <= due])
        return {
            "counted": looks.final(last[0], facts.users(last[0].vector)),
            "record_bytes": facts.record_bytes,
            "freshness": freshness(warm, poller.seen()),
            "accuracy": {
                "end": last[1].accuracy,
                "wrong_cells": len(last[1].differences),
                "cells": last[1].compared_cells,
                "looks": [_look(look, facts) for look in looks.found],
            },
            "query": {
                "questions": len(asked),
                "refused": poller.refused,
                **{f"p{p}": round(float(np.percentile(asked, p)) / 1000, 5) for p in PERCENTILES},
            },
            "cpu_s_per_million": {role: round(used / millions, 2) for role, used in sorted(cpu.items())},
            "peak_bytes": dict(sorted(usage.peak.items())),
            "stored": stored(settings),
            "speed_cells": len(last[0].speed.merged()) if last[0].speed else 0,
            "seconds": round(time.monotonic() - began, 2),
        }

    def _repair(self, folder: Path) -> dict[str, Any]:
        """The bug-fix drill, in servers of its own."""
        self._progress("repair: starting")
        usual = self._plan.settings(self._usual, self._row.name, folder)
        # runs that are started again must not repeat ids
        settings = usual.model_copy(update={"run": "", "rate": min(self._plan.rate, REPAIR_RATE)})
        with ExitStack() as stack:
            servers = stack.enter_context(embedded(settings))
            settings = _addressed(settings, servers)
            short = {**SHORT, "window_hours": REPAIR_WINDOW_S / 3600}
            drill = BugfixDrill(settings, HISTORY_S, lambda text: self._progress(f"repair: {text}"), short)
            found = drill.run()
        return {
            name: found[name]
            for name in (
                "wrong_seconds", "repair_seconds", "sales_counted_wrong", "sales_repaired", "sales_never_repaired",
            )
        }  # fmt: skip


def _look(look: Look, facts: LogFacts) -> dict[str, Any]:
    """A look with the distinct users beside those of the log at its offsets."""
    users = close(look.users, len(facts.users(look.vector)))
    return {
        "seconds": round(look.seconds, 2),
        "accuracy": look.accuracy,
        "covered": look.covered,
        "wrong": look.wrong,
        "right": {**look.right, "users": users},
    }


def _addressed(settings: Settings, servers: EmbeddedServers) -> Settings:
    addresses = _running(servers)
    settings = addressed(settings, addresses)
    return settings.model_copy(update={"api_port": api_port(settings)})


def _running(servers: EmbeddedServers) -> Addresses:
    addresses = servers.running()
    if addresses is None:
        gone = " and ".join(server.label for server in servers.used if not server.address())
        raise FourfoldError(f"the race's own {gone} has ended, so it measures nothing any more: start the race again")
    return addresses


def _pids(crew: Crew, servers: EmbeddedServers) -> Mapping[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for child in list(crew.supervisor.children):
        if child.pid is not None:
            found[child.arguments[0]].append(child.pid)
    for server in (servers.kafka, servers.redis):
        process = server.process()
        if process is not None:
            found[server.name].append(process.pid)
    return found
