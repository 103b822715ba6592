"""Where a number comes from: the provenance of an answer."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.cells import MINUTE_MS
from core.clocks import suspicion
from core.declaration.pipeline import STANDARD
from core.position import PartitionKey
from core.rfc3339 import to_text
from core.rules import Rules
from serving.answer import Answer

#: A batch view is stale when so many cycles have passed without a new one.
STALE_AFTER: Final = 3
#: What is wrong with records now is looked for in so many epochs.
RECENT_EPOCHS: Final = 6


@dataclass(frozen=True, slots=True)
class Provenance:
    """Says it for the views of one mode. `batch_s`: seconds between batch cycles.

    `logic`: the name of that of the speed view, in modes that have one.
    """

    mode: str
    namespace: str
    rules: Rules
    batch_s: float = 0
    logic: str = STANDARD
    wall: Callable[[], float] = time.time

    def of(self, answer: Answer, ends: Mapping[PartitionKey, int] | None) -> dict[str, Any]:
        """`ends`: the end of each partition's log, None where Kafka is away. Ages in seconds."""
        now = self.wall()
        vector, cut, batch = answer.vector, answer.cut, answer.batch
        job = answer.speed.job if answer.speed else None
        lag = None
        if ends is not None:
            lag = {str(s): max(0, end - vector.get(s, 0)) for s, end in sorted(ends.items())}
        batch_age = None if batch is None else round(max(0.0, now - batch.manifest.created_ms / 1000), 3)
        states = list(answer.states)
        if batch_age is not None and self.batch_s and batch_age > STALE_AFTER * self.batch_s:
            states.append("batch view stale")
        if ends is None:
            states.append("Kafka does not answer")
        if doubt := suspicion(_recent(answer)):
            states.append(doubt)
        return {
            "mode": self.mode,
            "logic": self._logic(answer),
            "job": job.name if job else None,
            "namespace": self.namespace,
            "batch_version": None if batch is None else batch.manifest.version,
            "cut": None if cut is None else {"epoch": cut.epoch, "time": to_text(cut.epoch * self.rules.epoch_ms)},
            "cut_offsets": None if cut is None else _offsets(cut.vector),
            "offsets": _offsets(vector),
            "watermark": to_text(answer.newest_ms - self.rules.lateness_ms) if answer.newest_ms else None,
            "since": to_text(answer.floor * self.rules.epoch_ms) if answer.floor else None,
            "minutes_since": _time(answer.grain.hours_below),
            "hours_since": _time(answer.grain.days_below),
            "lag": lag,
            "lag_events": None if lag is None else sum(lag.values()),
            "lost": answer.lost,
            "age_s": round(max(0.0, now - answer.appended_ms / 1000), 3) if answer.appended_ms else None,
            "batch_age_s": batch_age,
            "states": states,
        }

    def _logic(self, answer: Answer) -> str:
        """The name of the logic that counted; two of them where the views differ."""
        names = [answer.batch.manifest.logic] if answer.batch else []
        if answer.speed is not None:
            names.append(answer.speed.job.logic if answer.speed.job else self.logic)
        return " and ".join(dict.fromkeys(names)) or self.logic


def _time(minute: int) -> str | None:
    return to_text(minute * MINUTE_MS) if minute else None


def _recent(answer: Answer) -> Mapping[str, int]:
    """Counters of the newest epochs; of all where no view has them by epoch."""
    quality = answer.speed.quality if answer.speed else {}
    if not quality:
        return answer.counters
    recent: Counter[str] = Counter()
    for epoch in sorted(quality)[-RECENT_EPOCHS:]:
        recent.update(quality[epoch])
    return recent


def _offsets(vector: Mapping[PartitionKey, int]) -> dict[str, int]:
    return {str(source): offset for source, offset in sorted(vector.items())}
