"""Compares this machine's clock with the broker's: events of a clock that is wrong are rejected or late."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog

from core.errors import FourfoldError

log = structlog.get_logger(__name__)

#: From one comparison to the next, in seconds; the first one comes soon.
FIRST_S: Final = 3.0
EVERY_S: Final = 60.0
#: Less than that is the way of a record into the log.
TOLERANCE_MS: Final = 30_000


class ClockCheck(threading.Thread):
    """Looks now and then, and says it each time. For a log into which this process is writing."""

    def __init__(
        self,
        newest_append_ms: Callable[[], int],
        delivered: Callable[[], int],
        wall_ms: Callable[[], int],
    ) -> None:
        """`newest_append_ms`: asks the broker. `delivered`: how many records have arrived."""
        super().__init__(name="clock-check", daemon=True)
        self._newest_append_ms = newest_append_ms
        self._delivered = delivered
        self._wall_ms = wall_ms
        self._before = 0
        self._ended = threading.Event()

    def run(self) -> None:
        """Looks until `stop`."""
        wait_s = FIRST_S
        while not self._ended.wait(wait_s):
            wait_s = EVERY_S
            self.look()

    def look(self) -> None:
        """Compares once."""
        delivered = self._delivered()
        arrived, self._before = delivered > self._before, delivered
        try:
            newest_ms = self._newest_append_ms()
        except FourfoldError as error:
            log.debug("the broker's clock is not known", error=str(error))
            return
        ahead_ms = self._wall_ms() - newest_ms
        if not newest_ms or abs(ahead_ms) < TOLERANCE_MS or (ahead_ms > 0 and not arrived):
            # a log into which nothing comes is old, and no clock is wrong
            return
        side = "ahead of" if ahead_ms > 0 else "behind"
        log.warning(
            "clock",
            doubt=f"this machine's clock is about {abs(ahead_ms) / 1000:.0f} s {side} that of Kafka's broker: events "
            "are rejected as from_future, or late; set the clocks right (NTP)",
        )

    def stop(self) -> None:
        """Ends the thread; it may be waiting for Kafka, and nobody waits for that."""
        self._ended.set()
