"""The duplicate memory of one partition: event ids of the current and the H epochs before."""

from __future__ import annotations


class Horizon:
    """Remembers ids by epoch; what is older than the horizon is forgotten.

    A deterministic function of the log: which ids it holds depends on offsets and append times
    alone, so a replay decides the same. About 137 bytes an id.
    """

    def __init__(self, epochs: int) -> None:
        """`epochs`: how many epochs before the current one are remembered, at least 0."""
        self._epochs = epochs
        self._ids: dict[int, set[str]] = {}
        self.current: set[str] = set()
        self.earlier: list[set[str]] = []

    def enter(self, epoch: int) -> None:
        """`epoch` begins (or goes on): forget what it leaves behind."""
        oldest = epoch - self._epochs
        self._ids = {e: ids for e, ids in self._ids.items() if e >= oldest}
        self.current = self._ids.setdefault(epoch, set())
        self.earlier = [ids for e, ids in self._ids.items() if e != epoch and ids]

    def remembers(self, event_id: str) -> bool:
        """Whether the id was seen within the horizon. Remembers it in the current epoch."""
        if event_id in self.current:
            return True
        self.current.add(event_id)
        return any(event_id in ids for ids in self.earlier)

    def __len__(self) -> int:
        return sum(map(len, self._ids.values()))
