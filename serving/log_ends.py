"""The ends of the log as they were a moment ago: nobody who asks for them waits for Kafka."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final, Self

from core.errors import UnavailableError
from core.position import PartitionKey
from serving.repeating import Repeating

Ends = Mapping[PartitionKey, int]

EVERY_S: Final = 1.0
#: Ends that are older say nothing about the lag any more.
STANDS_S: Final = 5.0
_JOIN_S: Final = 2.0


class LogEnds:
    """Asks `source` in a thread of its own, since Kafka may be away and slow. A context manager."""

    def __init__(
        self,
        source: Callable[[], Ends | None],
        every_s: float = EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`source`: the end of each partition; None, or `UnavailableError`, where Kafka is away."""
        self._source = source
        self._clock = clock
        self._known: tuple[float, Ends | None] = (clock(), None)
        self._repeating = Repeating(self.ask, every_s, "log-ends")

    def newest(self) -> Ends | None:
        """The end of each partition; None where Kafka does not answer or has not yet."""
        asked, ends = self._known
        return None if self._clock() - asked > STANDS_S else ends

    def check(self) -> None:
        """Raises what ended the thread, if that was a bug."""
        self._repeating.check()

    @property
    def beats(self) -> int:
        """How often its thread has asked."""
        return self._repeating.beats

    def ask(self) -> None:
        """Asks once; the thread's work."""
        try:
            ends = self._source()
        except UnavailableError:
            ends = None
        self._known = (self._clock(), ends)

    def close(self) -> None:
        """Ends the thread."""
        self._repeating.stop()
        self._repeating.join(_JOIN_S)

    def __enter__(self) -> Self:
        self._repeating.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
