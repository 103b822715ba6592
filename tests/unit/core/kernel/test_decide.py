"""decide against the judge: the fast loop says yes only where the judge does, with the same values."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.declaration.pipeline import Pipeline
from core.declaration.reader import read
from core.kernel.decide import Decide
from core.kernel.judge import Judge
from core.verdict import Rejected
from tests.support.edits import EDITS, edits
from tests.support.events import NOW_MS, as_bytes, click
from tests.support.mutations import mutated
from tests.support.shop_events import TOPICS

SHOP = read(Path("pipelines/shop.toml").read_bytes(), "shop.toml")


def judged(judge: Judge, value: bytes | None, append_ms: int) -> Any:
    try:
        return judge.judge(value, append_ms)
    except Rejected as rejection:
        return rejection


def check(pipeline: Pipeline, stream: str, records: list[tuple[bytes | None, int]]) -> tuple[int, int]:
    """Both over the same records; how many were accepted and rejected."""
    decide, judge = Decide(pipeline, stream), Judge(pipeline, stream)
    fields = pipeline.streams[stream].fields
    reads = {
        name: eval(f"lambda e: {decide.event.value(field, 'e')}", dict(decide.scaled)) for name, field in fields.items()
    }
    # twice: what the judge has accepted once, the fast loop may know
    for _ in range(2):
        found = decide.all([value for value, _ in records], [at for _, at in records])
        rejected = {each.place: f"{each.reason}: {each.detail}" for each in found.rejected}
        accepted: Iterator[tuple[Any, int]] = zip(found.events, found.times, strict=True)
        for place, (value, append_ms) in enumerate(records):
            known = judged(judge, value, append_ms)
            if isinstance(known, Rejected):
                assert rejected.pop(place) == str(known), value
                continue
            event, time_ms = next(accepted)
            assert (time_ms, {name: read(event) for name, read in reads.items()}) == (known.time_ms, known.values), (
                value
            )
        assert not rejected
        assert next(accepted, None) is None
    return len(found.events), len(found.rejected)


@pytest.mark.parametrize("topic", TOPICS)
def test_the_shop_is_decided_as_judged(topic: str) -> None:
    draw = random.Random(17)
    mutations = (mutated(draw, number, NOW_MS) for number in range(6_000))
    accepted, rejected = check(SHOP, topic, [(value, NOW_MS) for there, value in mutations if there == topic])
    assert accepted > 150
    assert rejected > 1_000


def test_all_kinds_of_fields_are_decided_as_judged() -> None:
    records = edits(20_000, 5)
    accepted, rejected = check(EDITS, "edits", records)
    assert accepted > 3_000
    assert rejected > 3_000


def test_what_is_known_is_taken_by_the_fast_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    decide = Decide(SHOP, "clicks")
    value = as_bytes(click())
    decide.all([value], [NOW_MS])
    monkeypatch.setattr(Judge, "judge", lambda *_: pytest.fail("it was judged again"))
    assert len(decide.all([value] * 3, [NOW_MS] * 3).events) == 3


def test_names_of_json_that_python_has_otherwise_are_read() -> None:
    declared = read(
        b"""
name = "odd"
description = "Odd names"
[envelope]
data = "/"
[streams.things]
fields.a = { type = "integer", path = "/class" }
fields.b = { type = "integer", path = "/with space/__proto__" }
[measures]
things = { count = "things" }
""",
        "odd.toml",
    )
    assert check(declared, "things", [(b'{"class": 1, "with space": {"__proto__": 2}}', 5), (b"{}", 5), (b"1", 0)]) == (
        1,
        2,
    )
