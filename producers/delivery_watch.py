"""Says why records that were produced do not arrive: the loop that sends them waits meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

from core.errors import FourfoldError

log = structlog.get_logger(__name__)

EVERY_S: Final = 1.0
#: So long nothing may arrive before that is said, and again after `AGAIN_S`.
LIMIT_S: Final = 5.0
AGAIN_S: Final = 30.0


class DeliveryWatch(threading.Thread):
    """Looks once a second at how many records are on their way."""

    def __init__(
        self,
        produced: Callable[[], int],
        delivered: Callable[[], int],
        why: Callable[[], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`why`: asks Kafka what keeps records away; it may raise `FourfoldError`."""
        super().__init__(name="delivery-watch", daemon=True)
        self._produced = produced
        self._delivered = delivered
        self._why = why
        self._clock = clock
        self._known = 0
        self._since = clock()
        self._told: float | None = None
        self._ended = threading.Event()

    def run(self) -> None:
        """Looks until `stop`."""
        while not self._ended.wait(EVERY_S):
            self.look()

    def look(self) -> None:
        """Looks once."""
        now, delivered = self._clock(), self._delivered()
        waiting = self._produced() - delivered
        if delivered != self._known or not waiting:
            if self._told is not None:
                log.info("going on", delivered=delivered)
            self._known, self._since, self._told = delivered, now, None
        elif now - self._since >= LIMIT_S and (self._told is None or now - self._told >= AGAIN_S):
            self._told = now
            try:
                why = self._why()
            except FourfoldError as error:
                why = str(error)
            log.warning("waiting", records=waiting, since_s=round(now - self._since), reason=why)

    def stop(self) -> None:
        """Ends the thread; it may be asking Kafka, and nobody waits for that."""
        self._ended.set()
