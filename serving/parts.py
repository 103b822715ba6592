"""The parts of an architecture, and how each of them is at this moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from serving.live import Audit, Picture
from serving.provenance import STALE_AFTER
from serving.supervised import not_well, part_of

#: Something that should move and does not for so long stands still.
STILL_S: Final = 1.0
#: Nothing has to arrive all the time; after so long it is said.
QUIET_S: Final = 3.0
OK, QUIET, SLOW, DOWN, UNKNOWN = "ok", "quiet", "slow", "down", "unknown"


class Part(NamedTuple):
    """`state`: one of the words above; `says`: one line."""

    name: str
    state: str
    says: str


@dataclass(frozen=True, slots=True)
class Moment:
    """What is known now. `roles`: of the mode. `processes`: (name, state) of each where somebody supervises them here."""

    roles: Sequence[str]
    picture: Picture
    batch_s: float = 0.0
    watchers: int = 0
    processes: Sequence[Mapping[str, Any]] = field(default_factory=list)
    #: whether somebody could tell that Kafka is away
    kafka_seen: bool = True


def parts_of(moment: Moment) -> list[Part]:
    """Each part that the mode has, in the order of the way of an event."""
    picture, roles = moment.picture, moment.roles
    found = [_producers(moment), _kafka(moment)]
    redis = next((trouble for trouble in picture.trouble if trouble.startswith("Redis")), "")
    if "process" in roles:
        found += [_workers(moment, redis_away=bool(redis)), _redis(picture, redis)]
    if "batch" in roles:
        found += [_batch(moment), _lake(picture)]
    found.append(_serving(moment))
    return [_as_supervised(part, moment.processes) for part in found]


def standing(moment: Moment) -> list[str]:
    """Parts that are absent or stand still, for a line of text; without what the picture says in its own words."""
    said = {"kafka", "redis", "lake"} | ({"batch"} if moment.picture.version is None else set())
    idle = (part for part in parts_of(moment) if part.state in (QUIET, SLOW, DOWN) and part.name not in said)
    return [f"{part.name}: {part.says}" for part in idle]


def _producers(moment: Moment) -> Part:
    if moment.picture.records is None:
        return Part("produce", UNKNOWN, "cannot be seen")
    if moment.picture.quiet_s > QUIET_S:
        return Part("produce", QUIET, "nothing arrives")
    return Part("produce", OK, f"{moment.picture.arriving:,.0f} events/s")


def _kafka(moment: Moment) -> Part:
    if moment.picture.records is None and not moment.kafka_seen:
        return Part("kafka", UNKNOWN, "cannot be seen")
    if moment.picture.records is None:
        return Part("kafka", DOWN, "does not answer")
    return Part("kafka", OK, f"{moment.picture.records:,} records")


def _workers(moment: Moment, *, redis_away: bool) -> Part:
    picture = moment.picture
    lag = picture.lag
    if redis_away or (picture.away_s is not None and picture.answer is None):
        return Part("process", UNKNOWN, "cannot be seen")
    if lag is None:
        # what is in the log is not known, so nobody can say that all of it is counted
        waits = picture.records is None and moment.kafka_seen
        return Part("process", QUIET if waits else UNKNOWN, "wait for Kafka" if waits else "lag unknown")
    if lag and picture.audit is Audit.NOTHING:
        return Part("process", QUIET, f"nothing counted yet, {lag:,} behind")
    if lag and picture.still_s >= STILL_S:
        return Part("process", DOWN, f"still, {lag:,} behind")
    if lag and lag > max(1000.0, 2 * picture.arriving):
        return Part("process", SLOW, f"{lag:,} behind, {picture.rate:,.0f}/s")
    return Part("process", OK, f"{picture.rate:,.0f}/s, lag {lag:,}")


def _redis(picture: Picture, trouble: str) -> Part:
    if trouble:
        return Part("redis", DOWN, "does not answer" if trouble.startswith("Redis does not") else "in trouble")
    if picture.away_s is not None:
        return Part("redis", UNKNOWN, "cannot be seen")
    return Part("redis", OK, "answers")


def _batch(moment: Moment) -> Part:
    picture = moment.picture
    if picture.version is None:
        return Part("batch", QUIET, "no version yet")
    age = picture.batch_age_s or 0.0
    if moment.batch_s and age > STALE_AFTER * moment.batch_s:
        return Part("batch", SLOW, f"no new version for {age:,.0f} s")
    return Part("batch", OK, f"v{picture.version}, {age:,.0f} s old")


def _lake(picture: Picture) -> Part:
    return Part("lake", OK if picture.version is not None else QUIET, f"{picture.from_batch:,} events")


def _serving(moment: Moment) -> Part:
    streams = f"{moment.watchers} open stream{'s' if moment.watchers != 1 else ''}"
    if moment.picture.away_s is not None:
        return Part("serve", SLOW, f"{streams}, no answer")
    return Part("serve", OK, streams)


#: What is said of one process that does not run, by its state.
_GONE: Final = {"waiting": "restarting", "failed": "ended for good"}


def _as_supervised(part: Part, processes: Sequence[Mapping[str, Any]]) -> Part:
    """A process that is known to be gone is down, whatever can still be seen of its work."""
    mine = [process for process in processes if part_of(process) == part.name]
    gone = not_well(mine)
    if not gone:
        return part
    state = str(gone[0]["state"])
    says = _GONE.get(state, state)
    return Part(part.name, DOWN, f"{len(gone)} of {len(mine)} {says}" if len(mine) > 1 else says)
