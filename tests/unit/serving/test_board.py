"""The dashboard's document: each number is the answer's, its size has a bound, trouble is said and numbers stay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from adapters.speed.port import Step
from core.errors import UnavailableError
from serving.board import MINUTES, TOP, Board
from tests.support.api_world import ALL, CUT, ApiWorld
from tests.support.events import CLICKS_0, NOW_MINUTE, NOW_MS, at, delta_of
from tests.support.shop import cell_of, named

PARTS = {"produce", "kafka", "process", "redis", "batch", "lake", "serve"}


def board(world: ApiWorld, mode: str = "lambda") -> Board:
    """A board whose clock is the world's."""
    return world.board(mode, lambda: world.clock)


def count_products(world: ApiWorld, number: int) -> None:
    cells = {ALL: cell_of(number), **{("product", f"product-{n:08}"): cell_of(1) for n in range(number)}}
    moved = {"newest_ms": NOW_MS, "appended_ms": NOW_MS}
    delta = delta_of({(CUT, NOW_MINUTE): cells})
    world.apply(Step(CLICKS_0, at(13, CUT, **moved), at(13 + number, CUT, **moved), delta))
    world.tick()


def test_the_numbers_are_those_of_the_answer(world: ApiWorld) -> None:
    seen = board(world).document(3)
    answer = world.ticker.answer()
    assert seen["totals"] == named(answer.total) == {"clicks": 10, "sales": 2, "units": 3, "revenue_cents": 400}
    assert seen["quality"] == {"accepted": 12, "rejected": {"not_json": 1}, "duplicates": 0, "late": 1}
    assert (seen["version"], seen["from_batch"], seen["lag"]) == (1, 10, 2)
    assert (seen["trouble"], seen["faults"], seen["ever"]) == ([], [], True)
    assert {part["name"]: part["state"] for part in seen["parts"]}.keys() == PARTS


def test_the_hour_tells_what_the_batch_view_covers_from_the_rest(world: ApiWorld) -> None:
    hour = board(world).document(0)["hour"]
    assert hour["start_ms"] == (NOW_MINUTE + 1 - MINUTES) * 60_000
    assert hour["all"]["clicks"] == [0] * (MINUTES - 2) + [8, 2]
    assert hour["batch"]["clicks"] == [0] * (MINUTES - 2) + [8, 0]
    assert {len(values) for part in ("all", "batch") for values in hour[part].values()} == {MINUTES}


def test_tables_have_the_largest_and_no_more(world: ApiWorld) -> None:
    count_products(world, 3 * TOP)
    top = board(world).document(0)["top"]
    assert set(top) == {"campaign", "product", "country"}
    assert len(top["product"]) == TOP
    assert [row["value"] for row in top["product"][:2]] == ["pot", "cup"]
    assert [row["value"] for row in top["campaign"]] == ["spring", "summer"]


def test_its_size_does_not_grow_with_the_keys(world: ApiWorld) -> None:
    def size(document: dict[str, Any]) -> int:
        return len(json.dumps(document))

    few = size(board(world).document(0))
    count_products(world, 5_000)
    assert size(board(world).document(0)) < few + 2 * TOP * 120


def test_without_an_answer_the_last_numbers_stay_and_the_trouble_is_said(world: ApiWorld) -> None:
    made = board(world)
    before = made.document(0)
    world.reader.trouble = UnavailableError("Redis does not answer")
    world.tick()
    after = made.document(0)
    assert not after["answered"]
    assert any("Redis does not answer" in words for words in after["trouble"])
    assert (after["totals"], after["top"]) == (before["totals"], before["top"])
    assert (after["audit"], after["error"], after["lag"], after["age_s"] is not None) == ("unknown", None, None, True)


def test_a_fault_keeps_the_time_when_it_was_seen_first(world: ApiWorld) -> None:
    now = [100.0]
    made = world.board("lambda", lambda: world.clock, lambda: now[0])
    world.ends = None
    world.tick()
    for now[0] in (101.0, 102.0):
        (fault,) = made.document(0)["faults"]
        assert (fault["part"], fault["bad"], fault["since_ms"]) == ("kafka", True, 101_000)
    world.ends = {CLICKS_0: 13}
    world.tick()
    assert made.document(0)["faults"] == []


def test_a_ticker_that_hangs_does_not_look_live(world: ApiWorld) -> None:
    made = board(world)
    assert made.document(0)["answered"]
    world.clock += 6
    seen = made.document(0)
    assert (seen["answered"], seen["audit"]) == (False, "unknown")
    assert any("the newest answer is" in words for words in seen["trouble"])


def test_what_costs_more_is_made_once_a_second(world: ApiWorld) -> None:
    made = board(world)
    made.document(0)
    count_products(world, 20)
    assert len(made.document(0)["top"]["product"]) == 2
    world.clock += 1.0
    assert len(made.document(0)["top"]["product"]) == TOP


def test_versions_the_newest_first(world: ApiWorld) -> None:
    world.batch.publish(CUT, {CLICKS_0: 11}, counters={"accepted": 11})
    newest, older = board(world).document(0)["versions"]
    assert (newest["version"], newest["current"], newest["accepted"]) == (2, True, 11)
    assert (older["version"], older["current"]) == (1, False)
    assert older["quality"] == {"passed": 1, "total": 1}


def test_versions_of_the_job_side_by_side_with_their_rates(tmp_path: Path) -> None:
    with ApiWorld(tmp_path, batch=False, mode="kappa") as world:
        world.count()
        world.tick()
        made = board(world, "kappa")
        world.jobs = [{"name": "v1", "active": True, "counted": 1000}, {"name": "v2", "active": False, "counted": 0}]
        made.document(0)
        world.clock += 1.0
        world.jobs[1]["counted"] = 500
        first, second = made.document(0)["jobs"]
        assert (first["name"], first["rate"], second["name"], second["rate"]) == ("v1", 0.0, "v2", 500.0)
