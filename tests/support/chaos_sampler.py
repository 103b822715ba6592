"""Samples of a view at random instants, while everything moves."""

from __future__ import annotations

import threading
import time
from random import Random
from typing import Final, NamedTuple

from adapters.speed.port import Snapshot
from core.errors import UnavailableError
from modes.settings import Settings
from modes.wiring.speed import speed_reader

PAUSE_S: Final = (0.05, 1.5)
#: The share of samples taken by a reader that knows nothing yet.
FRESH_SHARE: Final = 0.15


class Sample(NamedTuple):
    """A snapshot, when it was taken (seconds since 1970), and by which kind of reader."""

    at: float
    fresh: bool
    snapshot: Snapshot


class Sampler(threading.Thread):
    """Takes samples until `stop`. Most are taken by one reader, whose memory is tested with it."""

    def __init__(self, settings: Settings, seed: int, slowness: float = 1.0) -> None:
        """`slowness`: pauses are longer by this factor."""
        super().__init__(name="sampler", daemon=True)
        self._slowness = slowness
        self._settings = settings
        self._random = Random(seed)
        self._ended = threading.Event()
        self._reader = speed_reader(settings)
        self.samples: list[Sample] = []
        #: how often the store did not answer
        self.unanswered = 0
        self.failure: Exception | None = None

    def run(self) -> None:
        """Samples until `stop`."""
        try:
            while not self._ended.wait(self._slowness * self._random.uniform(*PAUSE_S)):
                self._try()
        except Exception as error:  # noqa: BLE001 - told by `stop`
            self.failure = error

    def stop(self) -> None:
        """Takes a last sample with each kind of reader and ends. Raises what a reader raised."""
        self._ended.set()
        self.join()
        if self.failure is not None:
            raise self.failure
        for fresh in (False, True):
            self._take(fresh=fresh)
        self._reader.close()

    def _try(self) -> None:
        try:
            self._take(fresh=self._random.random() < FRESH_SHARE)
        except UnavailableError:
            self.unanswered += 1

    def _take(self, *, fresh: bool) -> None:
        reader = speed_reader(self._settings) if fresh else self._reader
        try:
            snapshot = reader.read()
        finally:
            if fresh:
                reader.close()
        self.samples.append(Sample(time.time(), fresh, snapshot))
