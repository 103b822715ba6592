"""Faults: each is said once, with what happens by itself and what a person does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.position import PartitionKey
from serving import faults
from serving.answer import Answer
from serving.faults import Fault, known_fault
from serving.live import Picture
from serving.parts import DOWN, Moment, parts_of
from tests.support.shop import ZERO

LAMBDA = ["produce", "process", "batch", "serve"]
WELL = Picture(
    ZERO,
    rate=2000.0,
    lag=3,
    version=7,
    batch_age_s=4.0,
    answer=Answer(ZERO, vector={PartitionKey("clicks", 0): 9}),
    error=0,
)


SEEN = {"arriving": 2000.0, "records": 1000, "quiet_s": 0.0, "still_s": 0.0}


def moment(picture=WELL, **more) -> Moment:
    """What `SEEN` names is of the picture, the rest of the moment around it."""
    seen = SEEN | {name: more.pop(name) for name in SEEN.keys() & more.keys()}
    return Moment(LAMBDA, replace(picture, **seen), **{"batch_s": 10.0, **more})


def faults_of(at: Moment) -> list[Fault]:
    return faults.faults_of(at, parts_of(at))


def process(name: str, state: str, **more: str):
    return {"name": name, "state": state, "log": f"/somewhere/logs/{name}.log", "reason": "", **more}


def only(found: list[Fault]) -> Fault:
    (fault,) = found
    return fault


def test_where_all_is_well_nothing_is_said():
    assert faults_of(moment()) == []


@pytest.mark.parametrize(
    ("words", "part", "says"),
    [
        ("Kafka does not answer", "kafka", "FOURFOLD_KAFKA"),
        ("Redis does not answer", "redis", "FOURFOLD_REDIS"),
        ("Redis lost a key of the view v1 (v1:p): no number", "redis", "fourfold process"),
        ("there is no batch view yet (a reason)", "batch", "fourfold batch --once"),
        ("no batch view yet", "batch", "fourfold batch --once"),
        ("batch view: none for 11 s: the raw table cannot be read", "batch", "reason"),
        ("the newest answer is 6.0 s old", "serve", "fourfold status"),
        ("the auditor failed (KeyError: 1)", "serve", "report the traceback"),
    ],
)
def test_what_the_terminal_says_is_said_with_a_remedy(words, part, says):
    fault = only(faults_of(moment(Picture(ZERO, trouble=(words,)))))
    assert (fault.part, fault.what.lower()) == (part, f"{words.lower()}.")
    assert fault.then
    assert says in fault.remedy


def test_words_that_nobody_knows_are_said_as_they_are():
    fault = known_fault("12 of 30 records are late: set the clock right")
    assert (fault.what, fault.remedy) == ("12 of 30 records are late.", "Set the clock right.")
    assert fault.kind == known_fault("13 of 31 records are late: set the clock right").kind


def test_a_worker_that_ended_is_named_by_its_role_with_what_happens_next():
    fault = only(faults_of(moment(processes=[process("process", "waiting"), process("batch", "running")])))
    assert fault == Fault(
        "process",
        True,
        "waiting",
        "A worker (role `process`) has ended.",
        "`fourfold up` starts it again by itself; what it has not counted waits in Kafka, nothing is lost.",
        "Nothing.",
    )


def test_some_of_several_are_counted():
    some = [process("process-1", "running"), process("process-2", "waiting"), process("process-3", "waiting")]
    assert only(faults_of(moment(processes=some))).what == "2 of 3 workers (role `process`) have ended."


def test_one_that_dies_again_and_again_is_said_with_its_last_words_and_its_log():
    dying = process("batch", "waiting", reason="died 5 times in a row: no space left on device")
    fault = only(faults_of(moment(processes=[dying])))
    assert fault.what == "The batch layer (role `batch`) died 5 times in a row: no space left on device."
    assert "logs/batch.log" in fault.remedy
    assert "/somewhere" not in fault.remedy


@pytest.mark.parametrize("state", ["restarting", "not answering", "failed"])
def test_a_server_that_is_supervised_is_said_once(state):
    picture = Picture(ZERO, trouble=("Kafka does not answer",))
    fault = only(faults_of(moment(picture, records=None, processes=[process("kafka", state)])))
    assert (fault.part, fault.bad) == ("kafka", True)


def test_workers_that_stand_still_are_a_fault_unless_that_follows_from_another():
    assert only(faults_of(moment(still_s=3.0))).kind == "standstill"
    assert faults_of(moment(still_s=2.0)) == []
    assert faults_of(moment(Picture(ZERO, lag=0, answer=WELL.answer, error=0), still_s=60.0)) == []
    away = Picture(ZERO, lag=3, trouble=("Redis does not answer",))
    assert only(faults_of(moment(away, still_s=60.0))).part == "redis"


@pytest.mark.parametrize(
    ("kind", "bad", "more"),
    [
        ("behind", False, {"picture": replace(WELL, lag=4001)}),
        ("no new version", True, {"picture": replace(WELL, batch_age_s=31.0)}),
        ("quiet", False, {"quiet_s": 10.0}),
    ],
)
def test_what_is_seen_of_a_part_is_said_with_a_remedy(kind, bad, more):
    fault = only(faults_of(moment(**more)))
    assert (fault.kind, fault.bad) == (kind, bad)
    assert fault.then
    assert "fourfold" in fault.remedy.lower()


@pytest.mark.parametrize("name", ["produce", "process", "batch", "serve", "kafka", "redis"])
def test_whatever_is_down_has_a_fault(name):
    for state in ("waiting", "failed", "restarting", "not answering"):
        at = moment(processes=[process(name, state)])
        down = {part.name for part in parts_of(at) if part.state == DOWN}
        assert {fault.part for fault in faults_of(at) if fault.bad} == down == {name}


def test_a_difference_from_the_truth_is_a_fault_with_a_remedy():
    fault = only(faults_of(moment(Picture(ZERO, error=4, answer=WELL.answer, lag=0))))
    assert "differ from the truth by 4" in fault.what
    assert "fourfold verify" in fault.remedy


def test_the_worst_is_said_first():
    picture = Picture(ZERO, states=("no batch view yet",), trouble=("Kafka does not answer",), answer=WELL.answer)
    assert [fault.part for fault in faults_of(moment(picture))] == ["kafka", "batch"]


def test_no_word_of_a_part_is_said_twice():
    for state in ("waiting", "failed"):
        part = next(p for p in parts_of(moment(processes=[process("process", state)])) if p.name == "process")
        assert "down" not in part.says
