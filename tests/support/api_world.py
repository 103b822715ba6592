"""The API over a speed view in memory and a small real batch view; ticks come when the test says."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from adapters.http.hosts import AllowedHosts
from adapters.kafka.dead_letters import FoundLetter, Letters
from adapters.lake.batch_view import BatchViews
from adapters.speed.memory import MemoryReader, MemoryStore
from adapters.speed.port import Outcome, Snapshot, Step
from core.errors import UnavailableError
from core.position import PartitionKey
from core.rules import Rules
from modes.catalogue import MODES
from serving.api import make_api
from serving.board import Board, BoardSettings
from serving.live import Unaudited
from serving.log_ends import LogEnds
from serving.merge import Merge
from serving.provenance import Provenance
from serving.ticker import Ticker
from serving.user_counts import UserCounts
from tests.support.batch_views import Publisher
from tests.support.events import CLICKS_0, NOW_MINUTE, NOW_MS, at, delta_of
from tests.support.shop import SHOP, cell_of
from tests.support.speed_stores import apply

ALL = ("all", "")
SPRING, SUMMER = ("campaign", "spring"), ("campaign", "summer")
CUP, POT = ("product", "cup"), ("product", "pot")
CUT = 20
QUALITY = {"checked_ms": NOW_MS, "passed": 1, "total": 1, "share": 1.0, "checks": []}


class Away(MemoryReader):
    """A reader of a store that can be away, or broken."""

    trouble: Exception | None = None

    def read(self, since: int = 0, *, whole: bool = True) -> Snapshot:
        if self.trouble is not None:
            raise self.trouble
        return super().read(since, whole=whole)


class ApiWorld:
    """Ten events below the cut, two above it. A context manager."""

    def __init__(self, path: Path, *, batch: bool = True, mode: str = "") -> None:
        """`batch`: whether there is a batch view. `mode`: that of the dashboard's picture."""
        self.clock = 100.0
        self.letters: list[FoundLetter] = [FoundLetter(CLICKS_0, 4, NOW_MS, "not_json", "no object", b"<b>{</b>", 8)]
        self.foreign = 0
        self.jobs: list[dict[str, Any]] = []
        self.processes: list[dict[str, Any]] = []
        self.ends: dict[PartitionKey, int] | None = {CLICKS_0: 15}
        self.traced: dict[str, Any] = {"event-1": {"offset": 3}}
        self.speed = MemoryStore(SHOP)
        self.reader = Away(self.speed)
        self.batch = Publisher(path, Rules())
        views = BatchViews(self.batch.store, SHOP) if batch else None
        self.merge = Merge(self.reader, views, SHOP)
        self.ticker = Ticker(self.merge, clock=lambda: self.clock)
        self.log_ends = LogEnds(lambda: self.ends, clock=lambda: self.clock)
        self.users = UserCounts(self.merge, clock=lambda: self.clock)
        self.provenance = Provenance(
            "lambda" if batch else "kappa", "v1-lambda", Rules(), batch_s=60, wall=lambda: NOW_MS / 1000 + 5
        )
        self.registry = CollectorRegistry()
        self.api: FastAPI = make_api(
            self.ticker,
            self.log_ends,
            self.users,
            self.provenance,
            SHOP,
            self.registry,
            self.batch.store if batch else None,
            self.trace,
            self.newest_letters,
            self.board(mode or ("lambda" if batch else "streaming")),
            wall=lambda: NOW_MS / 1000,
            # the one that clients without a socket name
            hosts=AllowedHosts(["testserver"]),
        )
        self._stack = ExitStack()

    def board(
        self,
        mode: str,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = lambda: NOW_MS / 1000,
    ) -> Board:
        """A board of a mode over this world."""
        row = MODES[mode]
        settings = BoardSettings(
            row.as_json(),
            SHOP,
            60.0,
            self.batch.store if row.archive else None,
            (lambda: self.jobs) if row.job_versions else None,
            lambda: self.processes,
        )
        return Board(
            settings,
            self.ticker,
            self.users,
            Unaudited(self.log_ends.newest),
            self.provenance,
            clock,
            wall=wall,
        )

    def newest_letters(self, limit: int) -> Letters:
        if self.ends is None:
            raise UnavailableError("Kafka does not answer")
        return Letters(self.letters[:limit], self.foreign)

    def publish(self) -> None:
        """A version of the batch view with ten events of the minute before now."""
        self.batch.publish(
            CUT,
            {CLICKS_0: 11},
            {
                NOW_MINUTE - 1: {
                    ALL: cell_of(8, 2, 3, 400),
                    SPRING: cell_of(7, 2, 3, 400),
                    SUMMER: cell_of(1),
                    CUP: cell_of(2, 2, 3, 400),
                    POT: cell_of(6),
                }
            },
            {NOW_MINUTE - 1: ["ann", "bob"]},
            counters={"accepted": 10, "rejected:not_json": 1},
            quality=QUALITY,
        )

    def count(self, old: str = "", new: str = at(13, CUT, newest_ms=NOW_MS, appended_ms=NOW_MS)) -> None:
        """Two events of now in the speed view."""
        delta = delta_of(
            {(CUT, NOW_MINUTE): {ALL: cell_of(2), SUMMER: cell_of(2), POT: cell_of(2)}},
            users={(CUT, NOW_MINUTE): ["bob", "cid"]},
            quality={CUT: {"accepted": 2, "late": 1}},
        )
        self.apply(Step(CLICKS_0, old, new, delta))

    def apply(self, step: Step) -> None:
        """A step of a worker. In a thread: a browser's test has an event loop of its own."""
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(apply, self.speed, step).result() is Outcome.APPLIED

    def tick(self) -> None:
        """All that threads do, once."""
        self.log_ends.ask()
        self.ticker.tick()

    def trace(self, event_id: str) -> dict[str, Any] | None:
        if self.ends is None:
            raise UnavailableError("Kafka does not answer")
        return self.traced.get(event_id)

    def __enter__(self) -> Self:
        self._stack.enter_context(self.users)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def filled(path: Path) -> ApiWorld:
    """A world with a version, events above its cut, and an answer."""
    world = ApiWorld(path)
    world.publish()
    world.count()
    world.tick()
    return world
