"""The role: takes records from a source at a pace and sends them, until told to stop."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final, Protocol

from producers.emitter import Emitter
from producers.pacer import Pacer, Seconds
from producers.record import Record

#: How often a report is made, in seconds.
REPORT_EVERY_S: Final = 1.0
#: How long a stop waits for what is under way, in seconds.
FLUSH_S: Final = 30.0

_kind_of: Final = attrgetter("kind")


@dataclass(frozen=True, slots=True)
class Stats:
    """Cumulative counts of records since the start; `blocked` counts waits for a full buffer.

    `lost`: not acknowledged when the role gave up waiting at its end.
    """

    produced: int = 0
    delivered: int = 0
    failed: int = 0
    blocked: int = 0
    lost: int = 0
    by_kind: Mapping[str, int] = field(default_factory=dict)


class Source(Protocol):
    """Where records come from: `ShopStream` or `DayStream`."""

    def take(self, count: int, now_ms: int) -> Sequence[Record]:
        """At most `count` records at wall time `now_ms`; none when there are no more."""


def wall_ms() -> int:
    """The wall clock: milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def run(
    emitter: Emitter,
    source: Source,
    pacer: Pacer,
    stop: threading.Event,
    report: Callable[[Stats], None],
    *,
    duration_s: float | None = None,
    flush_s: float = FLUSH_S,
    clock: Seconds = time.monotonic,
    wall: Callable[[], int] = wall_ms,
) -> Stats:
    """Sends until `stop` is set, the source is empty or `duration_s` is over; then flushes.

    `report` is called about once a second and at the end. Returns the last stats. Raises
    `UnavailableError` where Kafka refuses for good; what was sent before is flushed.
    """
    kinds: Counter[str] = Counter()
    now = clock()
    end = None if duration_s is None else now + duration_s
    next_report = now + REPORT_EVERY_S
    try:
        while not stop.is_set() and (end is None or now < end):
            count = pacer.due()
            if count:
                records = source.take(count, wall())
                if not records:
                    break
                sent = emitter.send(records, stop)
                kinds.update(map(_kind_of, records[:sent]))
            now = clock()
            if now >= next_report:
                next_report = now + REPORT_EVERY_S
                report(_stats(emitter, kinds))
    finally:
        lost = emitter.flush(flush_s)
        stats = _stats(emitter, kinds, lost)
        report(stats)
    return stats


def _stats(emitter: Emitter, kinds: Counter[str], lost: int = 0) -> Stats:
    return Stats(
        produced=emitter.produced,
        delivered=emitter.delivered,
        failed=emitter.failed,
        blocked=emitter.blocked,
        lost=lost,
        by_kind=dict(kinds),
    )
