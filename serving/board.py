"""The board: one document of limited size with all that the dashboard shows, made for all who look."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nlargest
from typing import TYPE_CHECKING, Any, Final

from core.cells import MINUTE_MS
from core.declaration.pipeline import ALL, Pipeline
from core.delta import ACCEPTED
from core.errors import UnavailableError
from core.event_counts import rank_of
from core.rfc3339 import to_text
from serving.answer import Answer
from serving.faults import Fault, faults_of
from serving.live import Live, Picture, TruthSource
from serving.measures import shown_measures
from serving.merge import Users
from serving.meter import Meter
from serving.parts import Moment, parts_of
from serving.provenance import Provenance
from serving.ticker import Ticker
from serving.user_counts import UserCounts

if TYPE_CHECKING:
    # loaded by those who read one: pyarrow takes half a second
    from adapters.lake.views import ViewStore

TOP: Final = 10
MINUTES: Final = 60
VERSIONS: Final = 6
#: What costs more than the counts is made so often.
SLOW_EVERY_S: Final = 1.0

#: Job versions (`name`, `logic`, `active`, `counted`, `lag`), or supervised processes and servers (`name`, `state`,
#: `reason`, `log`), as they are now.
Listing = Callable[[], Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class BoardSettings:
    """`mode`: the row of the catalogue, for people. `pipeline`: what is counted. `jobs`: None where the job has no versions."""

    mode: Mapping[str, Any]
    pipeline: Pipeline
    batch_s: float = 0.0
    views: ViewStore | None = None
    jobs: Listing | None = None
    processes: Listing = field(default=list)


class Board:
    """Makes the document. For one thread."""

    def __init__(
        self,
        settings: BoardSettings,
        ticker: Ticker,
        users: UserCounts,
        truth: TruthSource,
        provenance: Provenance,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._truth = truth
        self._provenance = provenance
        self._pipeline = settings.pipeline
        self._measures = tuple(settings.pipeline.measures)
        self._rank = rank_of(settings.pipeline)
        self._declared = declared(settings.pipeline)
        self._live = Live(_Ticked(ticker, users), truth, settings.pipeline, clock, wall)
        self._clock = clock
        self._wall = wall
        self._slow_at = float("-inf")
        self._slow: dict[str, Any] = {}
        self._rates: dict[str, Meter] = {}
        self._since: dict[tuple[str, str], int] = {}

    def document(self, watchers: int) -> dict[str, Any]:
        """All of it now. While there is no answer, the last one with the trouble said."""
        now = self._clock()
        picture = self._live.look()
        answer = picture.answer
        if now - self._slow_at >= SLOW_EVERY_S:
            self._slow_at = now
            self._slow = self._slowly(answer)
        moment = Moment(
            roles=self._settings.mode["roles"],
            picture=picture,
            batch_s=self._settings.batch_s,
            watchers=watchers,
            processes=self._settings.processes(),
            kafka_seen=self._truth.kafka_seen,
        )
        parts = parts_of(moment)
        return {
            "mode": self._settings.mode,
            "pipeline": self._declared,
            "time_ms": int(self._wall() * 1000),
            "epoch_ms": self._provenance.rules.epoch_ms,
            "parts": [part._asdict() for part in parts],
            "faults": self._faults(faults_of(moment, parts)),
            "arriving": round(picture.arriving, 1),
            **self._counts(picture, answer),
            **self._slow,
        }

    def _faults(self, found: Sequence[Fault]) -> list[dict[str, Any]]:
        """What is wrong, each with the time it was seen first."""
        now_ms = int(self._wall() * 1000)
        self._since = {_key(fault): self._since.get(_key(fault), now_ms) for fault in found}
        return [{**fault._asdict(), "since_ms": self._since[_key(fault)]} for fault in found]

    def _counts(self, picture: Picture, answer: Answer | None) -> dict[str, Any]:
        said = None if answer is None else self._provenance.of(answer, None)
        return {
            "answered": picture.away_s is None and answer is not None,
            "ever": answer is not None,
            "away_s": picture.away_s,
            "audit": picture.audit.value,
            "totals": dict(zip(self._measures, picture.totals, strict=True)),
            "users": picture.users._asdict(),
            "rate": round(picture.rate, 1),
            "lag": picture.lag,
            "age_s": picture.age_s,
            "quality": {
                "accepted": picture.accepted,
                "rejected": dict(picture.rejected),
                "duplicates": picture.duplicates,
                "late": picture.late,
            },
            "error": picture.error,
            "beyond": picture.beyond,
            "version": picture.version,
            "from_batch": picture.from_batch,
            "batch_age_s": picture.batch_age_s,
            "cut_ms": answer.cut_epoch * self._provenance.rules.epoch_ms if answer and answer.cut_epoch else None,
            "job": said and said["job"],
            "logic": said and said["logic"],
            "since": said and said["since"],
            "states": list(picture.states),
            "trouble": list(picture.trouble),
        }

    def _slowly(self, answer: Answer | None) -> dict[str, Any]:
        slow = {"versions": self._versions(), "jobs": self._jobs()}
        if answer is None:
            return self._slow | slow
        return {
            "top": {name: self._top(answer, name) for name in self._pipeline.dimensions},
            "hour": self._hour(answer) if answer.speed is None or not answer.speed.loading else self._no_hour(),
            **slow,
        }

    def _hour(self, answer: Answer) -> dict[str, Any]:
        """The last hour by minutes of event time: what comes from the batch view, and what from the speed view."""
        end = int(self._wall() * 1000) // MINUTE_MS + 1
        start = end - MINUTES
        whole = answer.series((ALL, ""), start, end)
        batch = answer.batch.series((ALL, ""), start, end) if answer.batch else {}
        zero = self._pipeline.zero
        return {
            "start_ms": start * MINUTE_MS,
            **{
                name: {
                    measure: [cells.get(minute, zero)[place] for minute in range(start, end)]
                    for place, measure in enumerate(self._measures)
                }
                for name, cells in (("all", whole), ("batch", batch))
            },
        }

    def _no_hour(self) -> dict[str, Any]:
        """In place of an hour that is not read yet: the one before, or an empty one."""
        start = (int(self._wall() * 1000) // MINUTE_MS + 1 - MINUTES) * MINUTE_MS
        nothing = {measure: [0] * MINUTES for measure in self._measures}
        return self._slow.get("hour") or {"start_ms": start, "all": nothing, "batch": nothing}

    def _top(self, answer: Answer, dimension: str) -> list[dict[str, Any]]:
        found = ((value, cell) for (name, value), cell in answer.totals.items() if name == dimension)
        largest = nlargest(TOP, found, key=lambda item: (self._rank(item[1]), item[0]))
        return [{"value": value, **dict(zip(self._measures, cell, strict=True))} for value, cell in largest]

    def _versions(self) -> list[dict[str, Any]]:
        views = self._settings.views
        if views is None:
            return []
        try:
            current, kept = views.pointer(), views.versions()[-VERSIONS:]
        except (OSError, ValueError):
            # pruned while it was read: the next look has it
            return list(self._slow.get("versions", []))
        return [
            {
                "version": manifest.version,
                "current": manifest.version == current,
                "created": to_text(manifest.created_ms),
                "cut": to_text(manifest.cut.epoch * self._provenance.rules.epoch_ms),
                "accepted": manifest.counters.get(ACCEPTED, 0),
                "engine": manifest.engine,
                "full": manifest.full,
                "quality": {name: manifest.quality[name] for name in ("passed", "total")} if manifest.quality else None,
            }
            for manifest in reversed(kept)
        ]

    def _jobs(self) -> list[dict[str, Any]]:
        if self._settings.jobs is None:
            return []
        try:
            found = self._settings.jobs()
        except UnavailableError:
            return list(self._slow.get("jobs", []))
        now = self._clock()
        return [
            {**job, "rate": round(self._rates.setdefault(job["name"], Meter()).rate(now, job["counted"]), 1)}
            for job in found
        ]


@dataclass(frozen=True, slots=True)
class _Ticked:
    """Answers of the ticker, and users counted where they always are."""

    ticker: Ticker
    counts: UserCounts

    def answer(self) -> Answer:
        return self.ticker.answer()

    def users(self, answer: Answer, start: int, end: int) -> Users:  # noqa: ARG002 - of a moment ago, on a connection of its own
        return self.counts.now(start, end).users


def _key(fault: Fault) -> tuple[str, str]:
    return fault.part, fault.kind


def declared(pipeline: Pipeline) -> dict[str, Any]:
    """What is counted, and how it is shown: all that the page knows of the pipeline."""
    measures = list(pipeline.measures)
    counted = [measures[place] for place in pipeline.counted.values()]
    return {
        "name": pipeline.name,
        "description": pipeline.description,
        "streams": list(pipeline.streams),
        "dimensions": [
            {"name": each.name, "label": each.label or each.name.replace("_", " ").capitalize()}
            for each in pipeline.dimensions.values()
        ],
        "measures": [
            {
                "name": each.name,
                "label": each.label,
                "money": each.money,
                "column": each.column,
                "detail": each.detail,
            }
            for each in shown_measures(pipeline)
        ],
        "counted": counted,
        "ranked_by": counted or measures[:1],
        "users": None if pipeline.distinct_users is None else pipeline.distinct_users.name.replace("_", " "),
    }
