"""The live picture: what a person watching wants to know at this moment."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from adapters.speed.port import Snapshot, SpeedReader
from core.cells import MEASURES, MINUTE_MS, Cell
from core.delta import ACCEPTED, DUPLICATES, LATE, REJECTED
from core.errors import UnavailableError
from core.ledger import Truth
from core.position import PartitionKey

#: Rates are means over so many seconds.
RATE_WINDOW_S: Final = 3.0
#: Distinct users are those of so many minutes of event time.
USERS_MINUTES: Final = 15
USERS_EVERY_S: Final = 2.0
#: The auditor is often a few records behind the view: its last verdict stands for so long.
VERDICT_STANDS_S: Final = 3.0


class TruthSource(Protocol):
    """Who knows the truth and the log's ends (`serving.auditor.LiveAuditor`)."""

    def truth(self, vector: Mapping[PartitionKey, int], floor: int) -> tuple[Truth, Truth] | None:
        """(ideal, horizon) at `vector`; None while unknown."""

    def log_ends(self) -> dict[PartitionKey, int] | None:
        """The end of each partition; None while Kafka is away."""


@dataclass(frozen=True, slots=True)
class Picture:
    """The numbers at one instant.

    `error`: sum of absolute differences from the horizon truth at the view's own offsets, over
    all totals; `beyond`: duplicates that the horizon rule lets through; both of the last moment
    that was audited, None where that is more than `VERDICT_STANDS_S` ago. `lag`: records not counted yet. `age_s`: since the last counted
    record was appended.
    """

    totals: Cell = field(default_factory=Cell)
    by: Mapping[str, Mapping[str, Cell]] = field(default_factory=dict)
    accepted: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    duplicates: int = 0
    late: int = 0
    rate: float = 0.0
    lag: int | None = None
    age_s: float | None = None
    users: int = 0
    error: int | None = None
    beyond: int | None = None
    floor: int = 0
    #: what is wrong now, in words; empty if nothing is
    trouble: tuple[str, ...] = ()


class Live:
    """Makes pictures. For one thread."""

    def __init__(
        self,
        reader: SpeedReader,
        truth: TruthSource,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`clock` and `wall` in seconds."""
        self._reader = reader
        self._truth = truth
        self._clock = clock
        self._wall = wall
        self._moved: deque[tuple[float, int]] = deque()
        self._last = Picture()
        self._users_at = float("-inf")
        self._audited: tuple[int | None, int | None] = (None, None)
        self._audited_at = float("-inf")

    def look(self) -> Picture:
        """The picture now. While Redis is away, the last one with the trouble said."""
        ends = self._truth.log_ends()
        trouble = [] if ends else ["Kafka does not answer"]
        try:
            snapshot = self._reader.read()
            users = self._users()
        except UnavailableError:
            return replace(self._last, rate=0.0, trouble=("Redis does not answer", *trouble))
        self._last = self._picture(snapshot, ends, users, tuple(trouble))
        return self._last

    def _picture(
        self,
        snapshot: Snapshot,
        ends: Mapping[PartitionKey, int] | None,
        users: int,
        trouble: tuple[str, ...],
    ) -> Picture:
        vector = snapshot.vector
        error, beyond = self._audit(snapshot)
        counters = snapshot.counters
        lag = None
        if ends is not None:
            lag = sum(max(0, end - vector.get(source, 0)) for source, end in ends.items())
        appended = max((p.appended_ms for p in snapshot.positions.values()), default=0)
        return Picture(
            totals=snapshot.totals.get(("all", ""), Cell()),
            by=by_dimension(snapshot),
            accepted=counters.get(ACCEPTED, 0),
            rejected=rejected(counters),
            duplicates=counters.get(DUPLICATES, 0),
            late=counters.get(LATE, 0),
            rate=self._rate(sum(vector.values())),
            lag=lag,
            age_s=max(0.0, self._wall() - appended / 1000) if appended else None,
            users=users,
            error=error,
            beyond=beyond,
            floor=snapshot.floor,
            trouble=trouble,
        )

    def _audit(self, snapshot: Snapshot) -> tuple[int | None, int | None]:
        truth = self._truth.truth(snapshot.vector, snapshot.floor)
        now = self._clock()
        if truth is not None:
            self._audited = _error(snapshot, truth[1]), _beyond(*truth)
            self._audited_at = now
        elif now - self._audited_at > VERDICT_STANDS_S:
            self._audited = None, None
        return self._audited

    def _rate(self, counted: int) -> float:
        now = self._clock()
        moved = self._moved
        if moved and counted < moved[-1][1]:
            moved.clear()
        moved.append((now, counted))
        while len(moved) > 2 and now - moved[1][0] >= RATE_WINDOW_S:  # noqa: PLR2004 - first and last
            moved.popleft()
        span = now - moved[0][0]
        return (counted - moved[0][1]) / span if span else 0.0

    def _users(self) -> int:
        now = self._clock()
        if now - self._users_at < USERS_EVERY_S:
            return self._last.users
        self._users_at = now
        newest = int(self._wall() * 1000) // MINUTE_MS
        return self._reader.distinct_users(range(newest - USERS_MINUTES + 1, newest + 1))


def by_dimension(snapshot: Snapshot) -> dict[str, dict[str, Cell]]:
    """Totals by dimension and value, the largest first."""
    out: dict[str, dict[str, Cell]] = {}
    ranked = sorted(snapshot.totals.items(), key=lambda item: (-item[1].clicks - item[1].sales, item[0]))
    for (dimension, value), cell in ranked:
        out.setdefault(dimension, {})[value] = cell
    return out


def rejected(counters: Mapping[str, int]) -> dict[str, int]:
    """Rejected records by reason, the most frequent first."""
    found = {k.removeprefix(REJECTED): n for k, n in counters.items() if k.startswith(REJECTED)}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def counts_document(snapshot: Snapshot, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """The document of `fourfold counts --json`."""
    totals = snapshot.totals.get(("all", ""), Cell())
    counters = snapshot.counters
    return {
        "totals": dict(zip(MEASURES, totals, strict=True)),
        "quality": {
            "accepted": counters.get(ACCEPTED, 0),
            "rejected": rejected(counters),
            "duplicates": counters.get(DUPLICATES, 0),
            "late": counters.get(LATE, 0),
        },
        "provenance": dict(provenance),
    }


def _error(snapshot: Snapshot, horizon: Truth) -> int:
    true = horizon.totals()
    seen = snapshot.totals
    return sum(
        abs(a - b)
        for key in seen.keys() | true.keys()
        for a, b in zip(seen.get(key, Cell()), true.get(key, Cell()), strict=True)
    )


def _beyond(ideal: Truth, horizon: Truth) -> int:
    return ideal.counters().get(DUPLICATES, 0) - horizon.counters().get(DUPLICATES, 0)
