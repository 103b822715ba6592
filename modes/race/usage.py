"""Usage: CPU time and memory of each role and each server, sampled from outside."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Final

import psutil

EVERY_S: Final = 0.5

#: Role or server to the ids of its processes, now.
Pids = Callable[[], Mapping[str, list[int]]]


class Usage(threading.Thread):
    """Samples until `stop`. What a process used before it died, and what its dead children used, is counted."""

    def __init__(self, pids: Pids) -> None:
        super().__init__(name="usage", daemon=True)
        self._pids = pids
        self._ended = threading.Event()
        self._failure: Exception | None = None
        self._processes: dict[int, psutil.Process] = {}
        self._used: dict[str, dict[int, float]] = defaultdict(dict)
        #: role to the most memory that its processes had together, in bytes
        self.peak: dict[str, int] = {}

    def run(self) -> None:
        """Samples."""
        try:
            while not self._ended.is_set():
                self.sample()
                self._ended.wait(EVERY_S)
        except Exception as error:  # noqa: BLE001 - told by `stop`
            self._failure = error

    def stop(self) -> None:
        """Ends it. Raises what it raised."""
        self._ended.set()
        self.join()
        if self._failure is not None:
            raise self._failure

    def cpu_s(self) -> dict[str, float]:
        """Role to CPU seconds so far."""
        return {role: sum(used.values()) for role, used in list(self._used.items())}

    def sample(self) -> None:
        """One look at all."""
        for role, pids in self._pids().items():
            resident = 0
            for pid in pids:
                used, has = self._of(pid)
                resident += has
                # a process that has died keeps what it had used
                self._used[role][pid] = max(used, self._used[role].get(pid, 0.0))
            self.peak[role] = max(self.peak.get(role, 0), resident)

    def _of(self, pid: int) -> tuple[float, int]:
        """CPU seconds and bytes of a process and all below it, those that have ended included."""
        used, resident = 0.0, 0
        try:
            root = self._processes.setdefault(pid, psutil.Process(pid))
            family = [root, *root.children(recursive=True)]
        except psutil.Error:
            return used, resident
        for process in family:
            try:
                times = process.cpu_times()
                resident += process.memory_info().rss
            except psutil.Error:
                continue
            used += times.user + times.system + times.children_user + times.children_system
        return used, resident
