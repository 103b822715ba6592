"""Whether the log is still the one that was counted: it has not become shorter, nor another one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Final, NamedTuple

from adapters.kafka.access import KafkaAccess
from adapters.kafka.peek import Peek, Place
from core.errors import ConfigurationError, FourfoldError
from core.position import PartitionKey
from core.rfc3339 import to_text

#: A leader that was just elected may show an end that is too low for a moment, so that is asked again.
_LOOKS: Final = 3
_PAUSE_S: Final = 0.5


class Mark(NamedTuple):
    """What a reader knows of a partition that it has read: the next offset, and its last record (-1: none)."""

    next: int
    last: int
    append_ms: int


class Continuity:
    """Compares marks with the log. Keeps its connection; for any number of threads."""

    def __init__(
        self, access: KafkaAccess, reader: str, remedy: str, pause: Callable[[float], object] = time.sleep
    ) -> None:
        """`reader`: who has read, and `remedy`: what to do where the log is another one; both for the message."""
        self._access = access
        self._reader = reader
        self._remedy = remedy
        self._pause = pause
        self._lock = threading.Lock()
        self._peek: Peek | None = None

    def close(self) -> None:
        """Ends the connection."""
        with self._lock:
            if self._peek is not None:
                self._peek.close()
                self._peek = None

    def answers(self, sources: Collection[PartitionKey]) -> bool:
        """Whether the leaders of all these partitions answer within seconds."""
        with self._lock:
            self._peek = self._peek or Peek(self._access)
            try:
                self._peek.bounds(sources)
            except FourfoldError:
                return False
        return True

    def check(self, marks: Mapping[PartitionKey, Mark]) -> None:
        """Compares each partition's end and the record at its mark.

        Raises:
            ConfigurationError: Kafka lost records, or was put back to an older copy that has grown since.
            UnavailableError: Kafka does not answer.
        """
        if not marks:
            return
        with self._lock:
            self._peek = self._peek or Peek(self._access)
            self._check(self._peek, marks)

    def _check(self, peek: Peek, marks: Mapping[PartitionKey, Mark]) -> None:
        for look in range(_LOOKS):
            bounds = peek.bounds(marks)
            shorter = {source: mark for source, mark in marks.items() if bounds[source][1] < mark.next}
            if not shorter:
                break
            if look < _LOOKS - 1:
                self._pause(_PAUSE_S)
        for source, mark in sorted(shorter.items()):
            raise self._refusal(
                f"the log of {source} ends at {bounds[source][1]}, {self._reader} counted to {mark.next}"
            )
        # what retention removed can be compared with nothing
        kept = {source: mark for source, mark in marks.items() if mark.last >= bounds[source][0]}
        places = peek.first({source: mark.last for source, mark in kept.items() if mark.last >= 0})
        for source, place in sorted(places.items()):
            mark = marks[source]
            if place != Place(mark.last, mark.append_ms):
                raise self._refusal(
                    f"the log of {source} holds another record at offset {mark.last} than {self._reader} counted "
                    f"(appended {to_text(mark.append_ms)})"
                )

    def _refusal(self, what: str) -> ConfigurationError:
        return ConfigurationError(
            f"{what}: Kafka lost records or was put back to an older copy; put its data right, or {self._remedy}"
        )
