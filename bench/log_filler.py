"""Fills the log with the shop's events, dirt and all, as fast as one process can."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bench.stage import Stage
from core.errors import FourfoldError
from modes.wiring.traffic import dirt
from producers.emitter import Emitter
from producers.role import FLUSH_S, wall_ms
from producers.stream import ShopStream

_SLICE = 2_000


class LogFiller:
    """Appends events to the stage's log; the same seed gives the same shop."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self._stream = ShopStream(seed, f"bench-{seed}", dirt(stage.settings))
        self._emitter = Emitter(stage.settings.access.confluent())

    def append(self, events: int, progress: Callable[[int], None]) -> None:
        """Appends so many records; all are acknowledged on return. Raises `FourfoldError`."""
        never, emitter = threading.Event(), self._emitter
        left = events
        while left:
            left -= emitter.send(self._stream.take(min(_SLICE, left), wall_ms()), never)
            progress(events - left)
        if emitter.flush(FLUSH_S) or emitter.failed:
            raise FourfoldError(f"Kafka did not take all events: {emitter.last_failure or 'no answer'}")
