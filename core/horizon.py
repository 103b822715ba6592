"""The duplicate memory of one partition: event ids of the current and the H epochs before."""

from __future__ import annotations

from typing import Any


class Horizon:
    """Remembers ids by epoch; what is older than the horizon is forgotten.

    A deterministic function of the log: which ids it holds depends on offsets and append times
    alone, so a replay decides the same. About 137 bytes an id.
    """

    def __init__(self, epochs: int) -> None:
        """`epochs`: how many epochs before the current one are remembered, at least 0."""
        self._epochs = epochs
        self._ids: dict[int, set[Any]] = {}
        #: the ids of the current epoch
        self.current: set[Any] = set()
        self._earlier: list[set[Any]] = []

    def enter(self, epoch: int) -> None:
        """`epoch` begins (or goes on): forget what it leaves behind."""
        if self._ids.get(epoch) is self.current:
            return
        oldest = epoch - self._epochs
        self._ids = {e: ids for e, ids in self._ids.items() if e >= oldest}
        self.current = self._ids.setdefault(epoch, set())
        self._earlier = [ids for e, ids in self._ids.items() if e != epoch]

    def known(self, ids: set[Any]) -> set[Any]:
        """Which of these were seen in this epoch or in one that is remembered; a new set."""
        known = ids & self.current
        for earlier in self._earlier:
            known |= ids & earlier
        return known

    def __len__(self) -> int:
        return sum(map(len, self._ids.values()))
