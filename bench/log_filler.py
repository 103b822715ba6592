"""Fills the log with the shop's events, dirt and all, as fast as one process can."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bench.stage import Stage
from core.errors import FourfoldError
from modes.wiring.traffic import dirt
from producers.emitter import Emitter
from producers.record import Record
from producers.role import FLUSH_S, wall_ms
from producers.stream import ShopStream

_SLICE = 2_000


class LogFiller:
    """Appends events to the stage's log; the same seed gives the same shop."""

    def __init__(
        self, stage: Stage, seed: int, change: Callable[[Record], Record] | None = None, batch_records: int = 0
    ) -> None:
        """`change`: makes of each record the one that is sent. `batch_records`: at most so many in a batch; 0: as usual."""
        self._stream = ShopStream(seed, f"bench-{seed}", dirt(stage.settings))
        config = {"batch.num.messages": batch_records} if batch_records else {}
        self._emitter = Emitter({**stage.settings.access.confluent(), **config})
        self._change = change

    def append(self, events: int, progress: Callable[[int], None]) -> None:
        """Appends so many records; all are acknowledged on return. Raises `FourfoldError`."""
        never, emitter = threading.Event(), self._emitter
        left = events
        while left:
            records = self._stream.take(min(_SLICE, left), wall_ms())
            if self._change is not None:
                records = list(map(self._change, records))
            left -= emitter.send(records, never)
            progress(events - left)
        if emitter.flush(FLUSH_S) or emitter.failed:
            raise FourfoldError(f"Kafka did not take all events: {emitter.last_failure or 'no answer'}")
