"""The live picture: what a person watching wants to know at this moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol

from core.cells import MINUTE_MS, Cell
from core.declaration.pipeline import ALL, Pipeline
from core.delta import ACCEPTED, DUPLICATES, LATE, REJECTED
from core.errors import UnavailableError
from core.event_counts import events_of, rank_of
from core.position import PartitionKey
from serving.answer import Answer
from serving.live_error import LiveError
from serving.merge import NOBODY, Users
from serving.meter import Meter
from serving.totals import Ranked

if TYPE_CHECKING:
    # loaded by those who read one: pyarrow takes half a second
    from adapters.lake.batch_view import BatchView
    from core.ledger import Truth

#: Distinct users are those of so many minutes of event time.
USERS_MINUTES: Final = 15
USERS_EVERY_S: Final = 2.0
#: The auditor is often a few records behind the view: its last verdict stands for so long.
VERDICT_STANDS_S: Final = 3.0
#: What an audit took is this part of the time until the next one, at most.
_AUDITING: Final = 0.1
#: An answer is behind where it lacks more records than arrive in so long, and more than so many.
BEHIND_S: Final = 1.0
BEHIND_RECORDS: Final = 1000


class Audit(StrEnum):
    """What is known of the error."""

    EXACT = "exact"
    OFF = "off"
    #: no difference so far, but the answer lacks much of the log, or nobody knows how much
    BEHIND = "behind"
    #: there is nothing counted that could be wrong
    NOTHING = "nothing"
    PENDING = "pending"
    #: nobody compares: it is switched off
    NOBODY = "nobody"
    #: there is no answer
    UNKNOWN = "unknown"


class TruthSource(Protocol):
    """Who knows the truth and the log's ends (`serving.auditor.LiveAuditor`)."""

    def truth(self, answer: Answer) -> tuple[Truth, Truth] | None:
        """(ideal truth, what the answer must be) at its vector; None while unknown."""

    def log_ends(self) -> dict[PartitionKey, int] | None:
        """The end of each partition; None while Kafka is away."""

    def trouble(self) -> str:
        """Why it does not know, in words; empty where it does, or where nobody can say."""

    @property
    def audits(self) -> bool:
        """Whether it compares with the truth at all."""

    @property
    def kafka_seen(self) -> bool:
        """Whether it can tell if Kafka is away."""


@dataclass(frozen=True, slots=True)
class Unaudited:
    """Where nobody follows the truth: the log's ends alone."""

    ends: Callable[[], Mapping[PartitionKey, int] | None]

    def truth(self, answer: Answer) -> tuple[Truth, Truth] | None:  # noqa: ARG002
        """Unknown."""
        return None

    def log_ends(self) -> dict[PartitionKey, int] | None:
        """See `TruthSource.log_ends`."""
        ends = self.ends()
        return None if ends is None else dict(ends)

    def trouble(self) -> str:
        """See `TruthSource.trouble`."""
        return ""

    @property
    def audits(self) -> bool:
        """See `TruthSource.audits`."""
        return False

    @property
    def kafka_seen(self) -> bool:
        """See `TruthSource.kafka_seen`."""
        return True


@dataclass(frozen=True, slots=True)
class Picture:
    """The numbers at one instant.

    `error`: sum of absolute differences from the truth at the answer's own offsets, over
    all totals; `beyond`: duplicates that the horizon rule lets through; both of the last moment
    that was audited, None where that is more than `VERDICT_STANDS_S` ago. `lag`: records not counted yet. `age_s`: since the last counted
    record was appended.
    """

    totals: Cell
    by: Mapping[str, Mapping[str, Cell]] = field(default_factory=dict)
    accepted: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    duplicates: int = 0
    late: int = 0
    rate: float = 0.0
    lag: int | None = None
    behind: bool = False
    age_s: float | None = None
    users: Users = NOBODY
    error: int | None = None
    beyond: int | None = None
    #: whether anybody compares with the truth
    audited: bool = True
    #: records in the log, None where Kafka is away; those that arrive a second; seconds since any did, and since any was counted
    records: int | None = None
    arriving: float = 0.0
    quiet_s: float = 0.0
    still_s: float = 0.0
    floor: int = 0
    #: the batch view's version, the events that come from it, and its age; None without one
    version: int | None = None
    from_batch: int = 0
    batch_age_s: float | None = None
    #: what a reader must know, in words
    states: tuple[str, ...] = ()
    #: what is wrong now, in words; empty if nothing is
    trouble: tuple[str, ...] = ()
    #: for how long there has been no answer; the counts are then the last that were known
    away_s: float | None = None
    answer: Answer | None = None

    @property
    def audit(self) -> Audit:
        """What is known of the error at this moment."""
        if self.away_s is not None:
            return Audit.UNKNOWN
        if self.error:
            return Audit.OFF
        if self.answer is not None and not any(self.answer.vector.values()):
            return Audit.NOTHING
        if not self.audited:
            return Audit.NOBODY
        if self.error is None:
            return Audit.PENDING
        return Audit.BEHIND if self.behind or self.lag is None else Audit.EXACT


class AnswerSource(Protocol):
    """Who answers (`serving.merge.Merge`). Raises `UnavailableError` where that cannot be done now."""

    def answer(self) -> Answer:
        """The answer now."""

    def users(self, answer: Answer, start: int, end: int) -> Users:
        """Distinct users of minutes `start` (included) to `end` (left out)."""


class Live:
    """Makes pictures. For one thread."""

    def __init__(
        self,
        source: AnswerSource,
        truth: TruthSource,
        pipeline: Pipeline,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`clock` and `wall` in seconds."""
        self._source = source
        self._truth = truth
        self._clock = clock
        self._wall = wall
        self._meter, self._arrived = Meter(), Meter()
        self._zero, self._events, self._rank = pipeline.zero, events_of(pipeline), rank_of(pipeline)
        self._live_error = LiveError(pipeline)
        self._last = Picture(pipeline.zero)
        self._away_since: float | None = None
        self._users_at = float("-inf")
        self._audited: tuple[int | None, int | None] = (None, None)
        self._audited_at = float("-inf")
        self._audit_took_s = 0.0

    def look(self) -> Picture:
        """The picture now. While there is no answer, the last counts with the trouble said, and nothing as of now."""
        ends = self._truth.log_ends()
        said = self._truth.trouble() or ("" if ends else "Kafka does not answer")
        trouble = [said] if said else []
        try:
            answer = self._source.answer()
            users = self._users(answer)
        except UnavailableError as error:
            return self._without_answer(str(error).split(": ", 1)[0], trouble, ends)
        self._away_since = None
        self._last = self._picture(answer, ends, users, tuple(trouble))
        return self._last

    def _without_answer(self, why: str, trouble: Sequence[str], ends: Mapping[PartitionKey, int] | None) -> Picture:
        now = self._clock()
        arriving = self._arriving(ends)
        if self._away_since is None:
            self._away_since = now
        last = self._last
        batch = last.answer and last.answer.batch
        return replace(
            last,
            rate=0.0,
            lag=None,
            behind=False,
            age_s=None if last.answer is None else self._age(last.answer),
            error=None,
            beyond=None,
            audited=self._truth.audits,
            records=None if ends is None else sum(ends.values()),
            arriving=arriving,
            quiet_s=self._arrived.still_s(now),
            still_s=self._meter.still_s(now),
            batch_age_s=self._batch_age(batch) if batch else None,
            states=(),
            trouble=(why, *trouble),
            away_s=max(0.0, now - self._away_since),
        )

    def _age(self, answer: Answer) -> float | None:
        return max(0.0, self._wall() - answer.appended_ms / 1000) if answer.appended_ms else None

    def _batch_age(self, batch: BatchView) -> float:
        return max(0.0, self._wall() - batch.manifest.created_ms / 1000)

    def _picture(
        self,
        answer: Answer,
        ends: Mapping[PartitionKey, int] | None,
        users: Users,
        trouble: tuple[str, ...],
    ) -> Picture:
        vector = answer.vector
        error, beyond = self._audit(answer)
        counters = answer.counters
        lag, behind = None, False
        now, arriving = self._clock(), self._arriving(ends)
        rate = self._meter.rate(now, sum(vector.values()))
        if ends is not None:
            lag = sum(max(0, end - vector.get(source, 0)) for source, end in ends.items())
            behind = lag > max(BEHIND_RECORDS, BEHIND_S * arriving)
        batch = answer.batch
        return Picture(
            totals=answer.total,
            by=Ranked(answer.totals, self._rank),
            accepted=counters.get(ACCEPTED, 0),
            rejected=rejected(counters),
            duplicates=counters.get(DUPLICATES, 0),
            late=counters.get(LATE, 0),
            rate=rate,
            lag=lag,
            behind=behind,
            age_s=self._age(answer),
            users=users,
            error=error,
            beyond=beyond,
            audited=self._truth.audits,
            records=None if ends is None else sum(ends.values()),
            arriving=arriving,
            quiet_s=self._arrived.still_s(now),
            still_s=self._meter.still_s(now),
            floor=answer.floor,
            version=None if batch is None else batch.manifest.version,
            from_batch=0 if batch is None else self._events(batch.totals.get((ALL, ""), self._zero)),
            batch_age_s=None if batch is None else self._batch_age(batch),
            states=answer.states,
            trouble=trouble,
            answer=answer,
        )

    def _arriving(self, ends: Mapping[PartitionKey, int] | None) -> float:
        """Records that arrive a second."""
        return 0.0 if ends is None else self._arrived.rate(self._clock(), sum(ends.values()))

    def _audit(self, answer: Answer) -> tuple[int | None, int | None]:
        began = self._clock()
        pause = self._audit_took_s / _AUDITING
        if began - self._audited_at < pause:
            return self._audited
        truth = self._truth.truth(answer)
        now = self._clock()
        if truth is not None:
            self._audited = self._error(answer, truth[1]), _beyond(*truth)
            self._audited_at = now
            self._audit_took_s = self._clock() - began
        elif now - self._audited_at > VERDICT_STANDS_S + pause:
            self._audited = None, None
        return self._audited

    def _error(self, answer: Answer, expected: Truth) -> int:
        seen, true = answer.totals, expected.totals()
        if unaudited := sum(expected.unaudited().values()):
            return self._live_error.of(seen, true, unaudited)
        zero = self._zero
        return sum(sum(map(abs, seen.get(key, zero).minus(true.get(key, zero)))) for key in seen.keys() | true.keys())

    def _users(self, answer: Answer) -> Users:
        now = self._clock()
        loading = answer.speed is not None and answer.speed.loading
        if loading or now - self._users_at < USERS_EVERY_S:
            return self._last.users
        self._users_at = now
        newest = int(self._wall() * 1000) // MINUTE_MS
        return self._source.users(answer, newest - USERS_MINUTES + 1, newest + 1)


def rejected(counters: Mapping[str, int]) -> dict[str, int]:
    """Rejected records by reason, the most frequent first."""
    found = {k.removeprefix(REJECTED): n for k, n in counters.items() if k.startswith(REJECTED)}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def counts_document(answer: Answer, measures: Iterable[str], provenance: Mapping[str, Any]) -> dict[str, Any]:
    """The document of `fourfold counts --json`. `measures`: by name, as in cells."""
    counters = answer.counters
    return {
        "totals": dict(zip(measures, answer.total, strict=True)),
        "quality": {
            "accepted": counters.get(ACCEPTED, 0),
            "rejected": rejected(counters),
            "duplicates": counters.get(DUPLICATES, 0),
            "late": counters.get(LATE, 0),
        },
        "provenance": dict(provenance),
    }


def _beyond(ideal: Truth, expected: Truth) -> int:
    return ideal.counters().get(DUPLICATES, 0) - expected.counters().get(DUPLICATES, 0)
