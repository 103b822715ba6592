"""The parts of an architecture say how they are: what is down is seen within a second."""

from __future__ import annotations

from dataclasses import replace

import pytest

from serving.answer import Answer
from serving.live import Picture
from serving.parts import DOWN, OK, QUIET, SLOW, UNKNOWN, Moment, parts_of, standing
from tests.support.shop import ZERO

LAMBDA = ["produce", "process", "batch", "serve"]
WELL = Picture(ZERO, rate=2000.0, lag=3, version=7, batch_age_s=4.0, from_batch=900)


def states(moment: Moment) -> dict[str, str]:
    return {part.name: part.state for part in parts_of(moment)}


def moment(roles=LAMBDA, picture=WELL, **more) -> Moment:
    numbers = {name: more.pop(name) for name in ("records", "quiet_s", "still_s") if name in more}
    picture = replace(picture, **{"arriving": 2000.0, "records": 1000, **numbers})
    return Moment(roles, picture, **{"batch_s": 10.0, **more})


@pytest.mark.parametrize(
    ("roles", "names"),
    [
        (["produce", "batch", "serve"], ["produce", "kafka", "batch", "lake", "serve"]),
        (["produce", "process", "serve"], ["produce", "kafka", "process", "redis", "serve"]),
        (LAMBDA, ["produce", "kafka", "process", "redis", "batch", "lake", "serve"]),
    ],
)
def test_only_the_parts_that_the_mode_has_are_there_and_all_are_well(roles, names):
    assert states(moment(roles)) == dict.fromkeys(names, OK)


@pytest.mark.parametrize(
    ("name", "state", "more"),
    [
        ("produce", QUIET, {"quiet_s": 3.1}),
        ("produce", UNKNOWN, {"records": None}),
        ("kafka", DOWN, {"records": None}),
        ("process", DOWN, {"still_s": 1.0}),
        ("process", OK, {"still_s": 60.0, "picture": Picture(ZERO, lag=0)}),
        ("process", SLOW, {"picture": Picture(ZERO, lag=4001)}),
        ("process", UNKNOWN, {"picture": Picture(ZERO, trouble=("Redis does not answer",))}),
        ("process", QUIET, {"records": None, "picture": Picture(ZERO, rate=0.0, lag=None)}),
        ("process", UNKNOWN, {"records": None, "kafka_seen": False, "picture": Picture(ZERO, lag=None)}),
        ("redis", DOWN, {"picture": Picture(ZERO, trouble=("Redis does not answer",))}),
        ("redis", UNKNOWN, {"picture": Picture(ZERO, trouble=("the newest answer is 6.0 s old",), away_s=6.0)}),
        ("redis", DOWN, {"processes": [{"name": "redis", "state": "restarting"}]}),
        ("kafka", DOWN, {"processes": [{"name": "kafka", "state": "not answering"}]}),
        ("serve", SLOW, {"picture": Picture(ZERO, away_s=1.0)}),
        ("batch", QUIET, {"picture": Picture(ZERO)}),
        ("batch", SLOW, {"picture": Picture(ZERO, version=7, batch_age_s=31.0)}),
        ("batch", DOWN, {"processes": [{"name": "batch", "state": "waiting"}]}),
        (
            "process",
            DOWN,
            {"processes": [{"name": f"process-{n}", "state": s} for n, s in ((1, "running"), (2, "failed"))]},
        ),
        ("process", OK, {"processes": [{"name": "processor", "state": "failed"}]}),
    ],
)
def test_each_trouble_is_seen_at_its_part(name, state, more):
    assert states(moment(**more))[name] == state


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, []),
        ({"quiet_s": 3.1}, ["produce: nothing arrives"]),
        ({"still_s": 9.0}, ["process: still, 3 behind"]),
        ({"picture": Picture(ZERO, version=7, batch_age_s=31.0)}, ["batch: no new version for 31 s"]),
        # what the picture says in its own words
        ({"picture": Picture(ZERO, trouble=("Redis does not answer",), states=("no batch view yet",))}, []),
        ({"records": None}, []),
        ({"picture": Picture(ZERO, lag=7, answer=Answer(ZERO))}, ["process: nothing counted yet, 7 behind"]),
    ],
)
def test_a_line_names_what_is_absent_or_stands_still(more, words):
    assert standing(moment(**more)) == words
