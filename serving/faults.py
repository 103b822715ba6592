"""Faults: what is wrong with which part, what happens by itself, and what a person does. Each is said once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final, NamedTuple

from serving.live import Audit
from serving.parts import DOWN, QUIET, SLOW, Moment, Part
from serving.supervised import not_well, part_of

#: Workers that count nothing for so long are a fault: shorter is a rebalance.
STANDSTILL_S: Final = 3.0
#: For so long nothing may arrive before it is said.
LULL_S: Final = 10.0
_NOTHING: Final = "Nothing."


class Fault(NamedTuple):
    """One line for people.

    `part`: by the name of `serving.parts`. `bad`: False where it passes by itself and no number stands still.
    `kind`: the same for as long as it is the same fault. `then`: what happens by itself. `remedy`: what you do.
    """

    part: str
    bad: bool
    kind: str
    what: str
    then: str
    remedy: str


class _Known(NamedTuple):
    """A trouble that is known by how its words begin."""

    begins: str
    part: str
    bad: bool
    then: str
    remedy: str


_READ_ON: Final = "The numbers are the last ones that were known; they go on by themselves."
_KNOWN: Final = (
    _Known(
        "Kafka does not answer",
        "kafka",
        True,
        "No new event is counted; counting goes on by itself, and nothing is lost.",
        "Start Kafka, or set FOURFOLD_KAFKA to its address.",
    ),
    _Known("Redis does not", "redis", True, _READ_ON, "Start Redis, or set FOURFOLD_REDIS to its address."),
    _Known(
        "Redis lost a key",
        "redis",
        True,
        "A worker begins the view again and counts it from the log.",
        "Run workers (`fourfold up` or `fourfold process`), and find who deletes keys in Redis.",
    ),
    _Known("Redis", "redis", True, _READ_ON, "See the log of Redis."),
    _Known(
        "there is no batch view yet",
        "batch",
        False,
        "The first one comes with the first batch cycle.",
        "Wait, or make one now: `fourfold batch --once`.",
    ),
    _Known(
        "no batch view yet",
        "batch",
        False,
        "Until then all numbers are the speed view's.",
        "Wait, or make one now: `fourfold batch --once`.",
    ),
    _Known(
        "batch view: ",
        "batch",
        True,
        "The batch role tries again with each cycle; until then the older version answers.",
        "See to what the reason says; `fourfold batch --once` tries now.",
    ),
    _Known(
        "no version of the job runs yet",
        "process",
        False,
        "Numbers come as soon as a worker has counted.",
        "Run workers: `fourfold up` or `fourfold process`.",
    ),
    _Known(
        "the speed view",
        "batch",
        True,
        "The next version of the batch view closes the gap.",
        "Wait for it, or make one now: `fourfold recompute`.",
    ),
    _Known("the newest answer is", "serve", True, _READ_ON, "See which store is slow: `fourfold status`."),
    _Known("there is no answer yet", "serve", False, "The first one comes within seconds.", _NOTHING),
    _Known("answer ", "serve", False, "A store is slow; the page goes on by itself.", _NOTHING),
    _Known("the auditor is starting", "serve", False, "It knows the log within seconds.", _NOTHING),
    _Known(
        "the auditor failed",
        "serve",
        True,
        "Numbers go on, and nobody compares them with the truth; it is tried again.",
        "Read the log of `serve`, and report the traceback.",
    ),
    _Known(
        "processor behind the cut",
        "process",
        False,
        "Workers pass what the batch view has counted already.",
        _NOTHING,
    ),
)


def known_fault(words: str) -> Fault:
    """The fault that these words of a picture's trouble or states tell."""
    for known in _KNOWN:
        if words.startswith(known.begins):
            return Fault(known.part, known.bad, known.begins, _sentence(words), known.then, known.remedy)
    what, _, remedy = words.partition(": ")
    # the same fault whatever its numbers
    return Fault("serve", False, re.sub(r"\d+", "", what), _sentence(what), "", _sentence(remedy))


def faults_of(moment: Moment, parts: Sequence[Part]) -> list[Fault]:
    """All that is wrong now, the worst first. What follows from another fault is not said again.

    `parts`: those of the moment (`serving.parts.parts_of`).
    """
    ended = list(_ended(moment.processes))
    told = [known_fault(words) for words in (*moment.picture.trouble, *moment.picture.states)]
    # whoever supervises a server knows more of it than those who ask it
    supervised = {fault.part for fault in ended if fault.part in _SERVERS}
    found = ended + [fault for fault in told if fault.part not in supervised]
    if moment.picture.audit is Audit.OFF:
        found.append(_off(moment.picture.error or 0))
    ill = {fault.part for fault in found}
    if not ill & set(_SERVERS):
        found += [_SEEN[part.name, part.state] for part in parts if part.name not in ill and _lasts(moment, part)]
    unique: dict[tuple[str, str], Fault] = {}
    for fault in found:
        unique.setdefault((fault.part, fault.kind), fault)
    return sorted(unique.values(), key=lambda fault: not fault.bad)


def _lasts(moment: Moment, part: Part) -> bool:
    """Whether what a part looks like is worth a word."""
    if part.name == "process" and part.state == DOWN:
        return moment.picture.still_s >= STANDSTILL_S
    if part.name == "produce":
        return part.state == QUIET and moment.picture.quiet_s >= LULL_S
    return (part.name, part.state) in _SEEN


#: What nobody tells, and can be seen of a part's work: by part and state.
_SEEN: Final = {
    ("process", DOWN): Fault(
        "process",
        True,
        "standstill",
        "The workers count nothing, and records wait in Kafka.",
        "Where workers share the work out again they go on within seconds; nothing is lost.",
        "If it lasts: see whether workers run (`fourfold status`), and read their logs.",
    ),
    ("process", SLOW): Fault(
        "process",
        False,
        "behind",
        "The workers are behind.",
        "They catch up by themselves; until then numbers are older than they look.",
        "If it grows: run more workers (`FOURFOLD_WORKERS`).",
    ),
    ("batch", SLOW): Fault(
        "batch",
        True,
        "no new version",
        "The batch layer makes no new version.",
        "The newest one goes on answering.",
        "See whether the role `batch` runs (`fourfold status`), and read its log.",
    ),
    ("produce", QUIET): Fault(
        "produce",
        False,
        "quiet",
        "No new event arrives.",
        "The numbers stand still until somebody produces.",
        "If you expect some: see whether producers run (`fourfold status`), or start one (`fourfold produce`).",
    ),
}


def _off(error: int) -> Fault:
    what = f"The numbers differ from the truth by {error:,} in all."
    return Fault("serve", False, "not exact", what, "", "Ask `fourfold verify` which numbers, and why.")


#: Who asks them hears less of them than who supervises them.
_SERVERS: Final = ("kafka", "redis")
#: Role, or server, in words: with how many there may be of it.
_NAMES: Final = {
    "produce": "The producers (role `produce`)",
    "process": "A worker (role `process`)",
    "batch": "The batch layer (role `batch`)",
    "serve": "The API server (role `serve`)",
    "kafka": "Kafka",
    "redis": "Redis",
}
#: What stands still meanwhile.
_MEANWHILE: Final = {
    "produce": "no new event comes",
    "process": "what it has not counted waits in Kafka, nothing is lost",
    "batch": "the newest version of the batch view goes on answering",
    "serve": "counting goes on",
    "kafka": "its records are kept, nothing is lost",
    "redis": "its counts are kept, nothing is lost",
}


def _ended(processes: Sequence[Mapping[str, Any]]) -> Iterator[Fault]:
    gone: dict[str, list[Mapping[str, Any]]] = {}
    for process in not_well(processes):
        gone.setdefault(part_of(process), []).append(process)
    for part, those in gone.items():
        every = sum(part_of(process) == part for process in processes)
        name = _NAMES.get(part, part)
        if every > 1:
            name = f"{len(those)} of {every} workers (role `{part}`)"
        yield _ended_part(part, name, len(those) > 1, those[0])


def _ended_part(part: str, name: str, several: bool, process: Mapping[str, Any]) -> Fault:
    state, reason = process["state"], str(process.get("reason") or "")
    log = PurePath(str(process.get("log") or f"{process['name']}.log")).name
    read = f"Read `logs/{log}` in the data directory."
    many = several or part == "produce"
    verb, it = ("have", "them") if many else ("has", "it")
    meanwhile = _MEANWHILE.get(part, "the rest goes on")
    if state == "not answering":
        then = f"After 30 s {it} will be ended and started again; {meanwhile}."
        return Fault(part, True, state, f"{name} {'do' if many else 'does'} not answer.", then, _NOTHING)
    what = f"{name} {verb} ended"
    if state == "failed":
        return Fault(part, True, state, _sentence(f"{what}: {reason}" if reason else what), "", read)
    then = f"`fourfold up` starts {it} again by itself; {meanwhile}."
    if part in _SERVERS:
        unlike = reason and reason != "it has ended"
        what = f"{name} does not run: {reason}" if unlike else f"{name} has ended"
        return Fault(part, True, state, _sentence(what), then, _NOTHING)
    if reason:
        return Fault(part, True, state, f"{name} {_sentence(reason, first=False)}", then, read)
    return Fault(part, True, state, f"{what}.", then, _NOTHING)


def _sentence(words: str, *, first: bool = True) -> str:
    if not words:
        return ""
    return f"{words[0].upper() if first else words[0]}{words[1:]}{'' if words.endswith('.') else '.'}"
