"""The inspector: compares a view with the truth while it moves, and says when it is wrong."""

from __future__ import annotations

import threading
from typing import Final

from core.errors import UnavailableError
from modes.settings import Settings
from modes.wiring.speed import speed_reader
from tests.support.chaos_audit import Audit

PAUSE_S: Final = 0.2


class Inspector(threading.Thread):
    """Takes a sample and audits it, again and again until `stop`."""

    def __init__(self, settings: Settings, audit: Audit) -> None:
        super().__init__(name="inspector", daemon=True)
        self._audit = audit
        self._reader = speed_reader(settings)
        self._ended = threading.Event()
        self.samples = 0
        self.wrong: list[list[str]] = []
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Inspects until `stop`."""
        try:
            while not self._ended.wait(PAUSE_S):
                self._inspect()
        except BaseException as error:  # noqa: BLE001 - told by `stop`
            self.failure = error

    def stop(self) -> None:
        """Ends the thread. Raises what it raised."""
        self._ended.set()
        self.join()
        self._reader.close()
        if self.failure is not None:
            raise self.failure

    def _inspect(self) -> None:
        try:
            snapshot = self._reader.read()
        except UnavailableError:
            return
        self._audit.read_to(snapshot.vector)
        self.samples += 1
        if differences := self._audit.differences(snapshot):
            self.wrong.append(differences)
