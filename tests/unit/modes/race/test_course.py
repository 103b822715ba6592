"""What a race says of the course's table: only what its rounds can carry."""

from __future__ import annotations

from typing import Any

from modes.race.course import CLAIMS, judge
from tests.support.race_document import document, lap


def claim(found: dict[str, Any], subject: str) -> dict[str, Any]:
    return next(each for each in found["course"] if each["subject"] == subject)


def test_the_table_is_the_courses() -> None:
    words = {each.subject: tuple(each.says.values()) for each in CLAIMS}
    assert words == {
        "latency": ("hours", "seconds", "both", "seconds"),
        "complexity": ("low", "medium", "high", "medium"),
        "cost": ("low", "medium", "high", "medium"),
        "accuracy": ("high", "good", "high", "good"),
    }


def test_where_every_round_is_in_the_courses_order_it_agrees() -> None:
    assert claim(document(), "latency")["words"] == "the measurement agrees (one round)"
    assert set(claim(document(), "latency")["agree"]) == {"streaming < batch", "lambda < batch", "kappa < batch"}


def test_where_the_order_is_another_it_does_not() -> None:
    found = claim(document(), "complexity")
    assert "batch < streaming" in found["disagree"]
    assert "does not for batch < streaming" in found["words"]


def test_rounds_that_overlap_leave_it_open() -> None:
    laps = [lap("batch"), lap("streaming"), lap("batch", 2), lap("streaming", 2)]
    laps[3]["freshness"] = laps[3]["freshness"] | {"p99": 20.0}
    found = claim(document(*laps, repeat=2), "latency")
    assert found["open"] == ["streaming < batch"]
    assert found["words"] == "open for streaming < batch"


def test_one_mode_is_not_judged() -> None:
    assert {each["words"] for each in judge(document(lap("kappa"))["summary"], 2)} == {
        "not judged: too few modes were measured"
    }
