"""The pulse: the positions of a view ten times a second, and when events flow again."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from adapters.speed.jobs import positions_of
from core.errors import FourfoldError
from core.position import PartitionKey, Position
from modes.settings import Settings

EVERY_S: Final = 0.1

Positions = Mapping[PartitionKey, Position]


class Look(NamedTuple):
    """The positions at one moment, in seconds since 1970."""

    at: float
    positions: Positions


class Pulse(threading.Thread):
    """Looks at the positions until `stop`; while Redis is away there are no looks."""

    def __init__(self, settings: Settings, sources: Sequence[PartitionKey]) -> None:
        super().__init__(name="pulse", daemon=True)
        self._client = Redis.from_url(
            settings.redis, socket_timeout=1.0, socket_connect_timeout=1.0, retry=Retry(NoBackoff(), 0)
        )
        self._view = settings.view
        self._sources = sources
        self._ended = threading.Event()
        self._changed = threading.Condition()
        self.looks: list[Look] = []

    def run(self) -> None:
        """Looks until `stop`."""
        while not self._ended.wait(EVERY_S):
            try:
                found = positions_of(self._client, self._view)
            except FourfoldError:
                continue
            look = Look(time.time(), found)
            with self._changed:
                self.looks.append(look)
                self._changed.notify_all()

    def stop(self) -> None:
        """Ends the thread."""
        self._ended.set()
        self.join()
        self._client.close()

    @property
    def last(self) -> Look:
        """The last look."""
        with self._changed:
            return self.looks[-1] if self.looks else Look(0.0, {})

    def longest_standstill(self) -> float:
        """The longest time in s in which no partition moved."""
        worst, moved_at, counted = 0.0, None, -1
        for look in self.looks:
            total = sum(position.next for position in look.positions.values())
            if total != counted:
                worst = max(worst, look.at - moved_at) if moved_at is not None else worst
                moved_at, counted = look.at, total
        return worst

    def flow_after(self, since: float, before: Positions, within_s: float) -> float | None:
        """Seconds from `since` until every partition counts again; None: not `within_s`.

        A partition counts again when its position has passed a record that was appended after
        `since`; where the store lost its position and began behind `before`, when it advances.
        """
        end = time.monotonic() + within_s
        lowest: dict[PartitionKey, int] = {}
        done = 0
        with self._changed:
            while True:
                for look in self.looks[done:]:
                    if look.at >= since and self._flows(look, since, before, lowest):
                        return look.at - since
                done = len(self.looks)
                left = end - time.monotonic()
                if left <= 0:
                    return None
                self._changed.wait(left)

    def _flows(self, look: Look, since: float, before: Positions, lowest: dict[PartitionKey, int]) -> bool:
        flowing = 0
        for source in self._sources:
            position = look.positions.get(source, Position())
            low = lowest[source] = min(position.next, lowest.get(source, position.next))
            behind = source in before and low < before[source].next
            flowing += position.next > low if behind else position.appended_ms > since * 1000
        return flowing == len(self._sources)
