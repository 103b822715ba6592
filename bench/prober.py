"""The prober: sees from outside how far the view is, as often as is harmless."""

from __future__ import annotations

import threading
import time
from typing import Final

from redis import Redis

from adapters.speed.jobs import positions_of
from adapters.speed.keys import ViewKeys
from bench.sampler import vector
from core.position import PartitionKey
from modes.race.latency import first_seen

#: Between two looks. A look costs Redis about 15 µs.
EVERY_S: Final = 0.0015


class Prober(threading.Thread):
    """Looks until `stop`, on a connection of its own, by the wall clock that the broker uses, too."""

    def __init__(self, address: str, namespace: str, every_s: float = EVERY_S) -> None:
        super().__init__(name="prober", daemon=True)
        self._redis = Redis.from_url(address)
        self._keys = ViewKeys(namespace)
        self._partitions = list(positions_of(self._redis, namespace))
        self._every_s = every_s
        self._ended = threading.Event()
        self._changes: list[tuple[float, dict[bytes, bytes]]] = []
        #: looks, and the longest time between two of them in ms: what is faster is not seen
        self.looks = 0
        self.longest_gap_ms = 0.0

    def run(self) -> None:
        """Keeps every change that it sees."""
        last: dict[bytes, bytes] = {}
        before = time.time_ns()
        while not self._ended.is_set():
            found = self._look()
            # the moment at which the answer is here: too late rather than too early
            now = time.time_ns()
            self.looks += 1
            self.longest_gap_ms = max(self.longest_gap_ms, (now - before) / 1e6)
            before = now
            if found != last:
                last = found
                self._changes.append((now / 1e6, found))
            time.sleep(self._every_s)

    def _look(self) -> dict[bytes, bytes]:
        pipeline = self._redis.pipeline(transaction=False)
        for partition in self._partitions:
            pipeline.hget(self._keys.of(partition).state, "position")
        texts = pipeline.execute()
        return {str(p).encode(): text for p, text in zip(self._partitions, texts, strict=True) if text is not None}

    def stop(self) -> None:
        """Ends the looking."""
        self._ended.set()
        self.join()
        self._redis.close()

    def seen(self) -> dict[PartitionKey, tuple[list[float], list[int]]]:
        """For each partition: when (ms since 1970) it was first seen to have reached which next offset."""
        return first_seen((at_ms, vector(found)) for at_ms, found in self._changes)
