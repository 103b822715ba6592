"""The poller: asks the API for its totals on a fixed schedule, and keeps what it saw, and when."""

from __future__ import annotations

import http.client
import threading
import time
from typing import Final

import msgspec

from core.position import PartitionKey, Vector, covers
from modes.race.latency import first_seen

EVERY_S: Final = 0.05
TIMEOUT_S: Final = 5.0
_OK: Final = 200


class _Provenance(msgspec.Struct):
    offsets: dict[str, int]


class _Answer(msgspec.Struct):
    provenance: _Provenance


class Poller(threading.Thread):
    """Asks until `stop`. A question that has to wait for the one before counts from when it was due: what stands
    still is not asked less often for that.
    """  # noqa: D205 - one sentence with its reason

    def __init__(self, host: str, port: int, every_s: float = EVERY_S) -> None:
        super().__init__(name="poller", daemon=True)
        self._connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        self._every_s = every_s
        self._ended = threading.Event()
        self._decoder = msgspec.json.Decoder(_Answer)
        #: (when due, in ms since 1970; ms from then to the answer)
        self.latencies: list[tuple[float, float]] = []
        #: (ms since 1970, vector) of each answer that differs from the one before
        self.changes: list[tuple[float, dict[PartitionKey, int]]] = []
        #: questions without an answer
        self.refused = 0
        self._failure: Exception | None = None

    def run(self) -> None:
        """Asks."""
        try:
            due = time.time()
            while not self._ended.wait(max(0.0, due - time.time())):
                self._ask(due * 1000)
                due += self._every_s
        except Exception as error:  # noqa: BLE001 - told by `stop`
            self._failure = error
        finally:
            self._connection.close()

    def stop(self) -> None:
        """Ends it. Raises what it raised."""
        self._ended.set()
        self.join()
        if self._failure is not None:
            raise self._failure

    def covered_ms(self, vector: Vector) -> float | None:
        """When (ms since 1970) an answer covered a vector first, since when all do; None where the newest does not."""
        found = None
        for at_ms, seen in reversed(self.changes):
            if not covers(seen, vector):
                break
            found = at_ms
        return found

    def seen(self) -> dict[PartitionKey, tuple[list[float], list[int]]]:
        """For each partition: when (ms since 1970) an answer first covered which next offset."""
        return first_seen(self.changes)

    def _ask(self, due_ms: float) -> None:
        try:
            self._connection.request("GET", "/v1/totals")
            response = self._connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self.refused += 1
            return
        if response.status != _OK:
            self.refused += 1
            return
        now_ms = time.time() * 1000
        self.latencies.append((due_ms, now_ms - due_ms))
        offsets = self._decoder.decode(body).provenance.offsets
        vector = {PartitionKey.parse(source): offset for source, offset in offsets.items()}
        if not self.changes or self.changes[-1][1] != vector:
            self.changes.append((now_ms, vector))
