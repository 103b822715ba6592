"""Ends a worker that stands still while there is something to count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from core.position import PartitionKey

#: The exit code of a worker that ended itself because it stood still (EX_TEMPFAIL).
STALLED_EXIT_CODE: Final = 75
LIMIT_S: Final = 20.0
#: Somebody who counts would have moved by then.
LATE_S: Final = 10.0
#: Whoever begins has no position before it is in the group.
FIRST_LIMIT_S: Final = 60.0
#: From one look to the next, where Kafka is slow.
LONGEST_LOOK_S: Final = 40.0


@dataclass(slots=True)
class Watchdog:
    """Compares log ends with positions; the list of partitions comes from the broker and the store.

    The client's own list is empty in the very state that this guards against, and so is the store's
    where nothing was counted yet. `late`: partitions that lag and have not moved for `LATE_S`, whoever has them.
    """

    clock: Callable[[], float]
    limit_s: float = LIMIT_S
    first_limit_s: float = FIRST_LIMIT_S
    late: list[PartitionKey] = field(default_factory=list)
    _looked_at: float = float("-inf")
    _deaf_since: float | None = None
    _since: dict[PartitionKey, float] = field(default_factory=dict)
    _last: dict[PartitionKey, int] = field(default_factory=dict)

    def stalled(
        self,
        ends: Mapping[PartitionKey, int],
        positions: Mapping[PartitionKey, int],
        mine: Iterable[PartitionKey],
    ) -> list[PartitionKey]:
        """Partitions that lag and have not moved for the limit.

        Only those of this worker, unless all partitions stand still: then nobody works.
        """
        now = self.clock()
        self._deaf_since = None
        if now - self._looked_at > LONGEST_LOOK_S:
            # this process, or the machine, was stopped meanwhile: nobody has stood still
            self._since.clear()
        self._looked_at = now
        for source, end in ends.items():
            position = positions.get(source, 0)
            if position >= end or self._last.get(source) != position:
                self._since.pop(source, None)
            else:
                self._since.setdefault(source, now)
            self._last[source] = position
        self.late = [source for source, since in self._since.items() if now - since > LATE_S]
        stalled = [source for source in self.late if now - self._since[source] > self._limit(source, positions)]
        if len(stalled) == len(ends):
            return stalled
        owned = set(mine)
        return [source for source in stalled if source in owned]

    def deaf(self, positions: Mapping[PartitionKey, int], *, others_hear: bool) -> bool:
        """Whether Kafka has not answered this worker's client for the limit, answers others, and nothing moves.

        Its addresses may have changed, or its thread may hang: that does not pass by itself.
        """
        now = self.clock()
        moved, self._last = positions != self._last, dict(positions)
        if moved or not others_hear:
            self._deaf_since = None
        elif self._deaf_since is None:
            self._deaf_since = now
        return self._deaf_since is not None and now - self._deaf_since > self.limit_s

    def reset(self) -> None:
        """The broker or the store is away: that is not this worker's stall."""
        self._since.clear()
        self.late = []

    def _limit(self, source: PartitionKey, positions: Mapping[PartitionKey, int]) -> float:
        return self.limit_s if source in positions else max(self.limit_s, self.first_limit_s)
