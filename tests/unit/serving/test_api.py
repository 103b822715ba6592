"""The HTTP API: each route's answer, its provenance, and its problems."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from fastapi.testclient import TestClient

from core.errors import UnavailableError
from serving.answer import Answer
from serving.http import models
from serving.merge import Users
from tests.support.api_world import ALL, QUALITY, ApiWorld
from tests.support.events import CLICKS_0, NOW_MINUTE, at
from tests.support.shop import DIMENSIONS, MEASURES, SHOP, ZERO

MEASURED = {"clicks": 10, "sales": 2, "units": 3, "revenue_cents": 400}
NOTHING = dict.fromkeys(MEASURES, 0)
NOW = "2026-01-01T00:00:00.000Z"


def ok(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def problem(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert document["status"] == status
    assert document.keys() == {"title", "status", "detail"}
    assert "\n" not in document["detail"]
    return str(document["detail"])


def without_provenance(response: httpx.Response) -> dict[str, Any]:
    document = ok(response)
    assert document.pop("provenance")["batch_version"] == 1
    return document


# --- counts --------------------------------------------------------------------------------------


def test_totals_of_both_views(client: TestClient) -> None:
    assert without_provenance(client.get("/v1/totals")) == {
        "dimension": "all",
        "totals": MEASURED,
        "values": [],
        "quality": {"accepted": 12, "rejected": {"not_json": 1}, "duplicates": 0, "late": 1},
    }


def test_totals_by_value_the_largest_first(client: TestClient) -> None:
    document = ok(client.get("/v1/totals", params={"dimension": "campaign"}))
    assert [(v["value"], v["clicks"], v["sales"]) for v in document["values"]] == [("spring", 7, 2), ("summer", 3, 0)]
    assert document["totals"] == MEASURED


def test_the_provenance_says_everything(world: ApiWorld, client: TestClient) -> None:
    said = ok(client.get("/v1/totals"))["provenance"]
    assert said == world.provenance.of(world.ticker.answer(), world.ends)
    assert said.keys() == models.ProvenanceModel.model_fields.keys()
    assert (said["mode"], said["lag_events"], said["age_s"], said["states"]) == ("lambda", 2, 5.0, [])
    assert said["cut"] == {"epoch": 20, "time": "1970-01-01T00:10:00.000Z"}


def test_without_kafka_answers_go_on_and_say_it(world: ApiWorld, client: TestClient) -> None:
    world.ends = None
    world.tick()
    said = ok(client.get("/v1/totals"))["provenance"]
    assert (said["lag"], said["lag_events"], said["states"]) == (None, None, ["Kafka does not answer"])


def test_a_series_has_every_step(client: TestClient) -> None:
    document = without_provenance(client.get("/v1/series", params={"start": "3"}))
    assert document == {
        "dimension": "all",
        "value": "",
        "start": "2025-12-31T23:58:00.000Z",
        "end": "2026-01-01T00:01:00.000Z",
        "step": 1,
        "points": [
            {"time": "2025-12-31T23:58:00.000Z", **NOTHING},
            {"time": "2025-12-31T23:59:00.000Z", "clicks": 8, "sales": 2, "units": 3, "revenue_cents": 400},
            {"time": NOW, **NOTHING, "clicks": 2},
        ],
    }


def test_a_series_is_the_last_hour_unless_asked_otherwise(client: TestClient) -> None:
    assert len(ok(client.get("/v1/series"))["points"]) == 60


def test_steps_are_sums(client: TestClient) -> None:
    params = {"start": "2025-12-31T23:50:59Z", "end": "2026-01-01T00:00:01Z", "step": 10}
    document = ok(client.get("/v1/series", params=params))
    assert [(p["time"], p["clicks"]) for p in document["points"]] == [("2025-12-31T23:50:00.000Z", 8), (NOW, 2)]
    document = ok(client.get("/v1/series", params={**params, "dimension": "product", "value": "pot", "step": 100}))
    assert [p["clicks"] for p in document["points"]] == [8]


def test_a_value_that_never_was_has_a_series_of_zeros(client: TestClient) -> None:
    document = ok(client.get("/v1/series", params={"dimension": "product", "value": "none", "start": 2}))
    assert [p["clicks"] for p in document["points"]] == [0, 0]


def test_a_series_has_a_bounded_number_of_points(client: TestClient) -> None:
    assert len(ok(client.get("/v1/series", params={"start": 10_000}))["points"]) == 10_000
    assert problem(client.get("/v1/series", params={"start": 10_001}), 422).startswith("step: ")
    assert "take a step of 2 or more" in problem(client.get("/v1/series", params={"start": 20_000}), 422)
    assert len(ok(client.get("/v1/series", params={"start": 20_000, "step": 2}))["points"]) == 10_000


def test_top_of_everything_by_any_measure(client: TestClient) -> None:
    document = without_provenance(client.get("/v1/top"))
    assert (document["dimension"], document["measure"], document["start"], document["end"]) == (
        "product",
        "clicks",
        None,
        None,
    )
    assert [(v["value"], v["clicks"]) for v in document["values"]] == [("pot", 8), ("cup", 2)]
    by_money = ok(client.get("/v1/top", params={"measure": "revenue_cents"}))["values"]
    assert [(v["value"], v["revenue_cents"]) for v in by_money] == [("cup", 400)]
    assert [v["value"] for v in ok(client.get("/v1/top", params={"n": 1}))["values"]] == ["pot"]


def test_top_of_a_span(client: TestClient) -> None:
    document = ok(client.get("/v1/top", params={"dimension": "campaign", "start": "1"}))
    assert (document["start"], document["end"]) == (NOW, "2026-01-01T00:01:00.000Z")
    assert [(v["value"], v["clicks"]) for v in document["values"]] == [("summer", 2)]
    document = ok(client.get("/v1/top", params={"dimension": "campaign", "end": NOW}))
    assert document["start"] == "1970-01-01T00:00:00.000Z"
    assert [(v["value"], v["clicks"]) for v in document["values"]] == [("spring", 7), ("summer", 1)]


def test_users_are_exact_below_the_cut(client: TestClient) -> None:
    document = without_provenance(client.get("/v1/users", params={"start": "2025-12-31T23:00:00Z", "end": NOW}))
    assert (document["users"], document["exact"]) == (2, True)
    document = without_provenance(client.get("/v1/users"))
    assert (document["users"], document["exact"], document["start"]) == (3, False, "2025-12-31T23:46:00.000Z")
    assert ok(client.get("/v1/users", params={"minutes": 1}))["users"] == 2


@pytest.mark.parametrize(
    ("path", "params", "says"),
    [
        ("totals", {"dimension": "page"}, "dimension: input should be 'all', 'campaign', 'product' or 'country'"),
        ("series", {"dimension": "product"}, "value: the dimension product has values: name one"),
        ("series", {"value": "cup"}, "value: the dimension all has no values"),
        ("series", {"start": "yesterday"}, "start: neither minutes back nor an RFC 3339 time"),
        ("series", {"start": "2026-01-01T00:00:00"}, "start: neither"),
        ("series", {"start": "2026-01-01T00:00:00 02:00"}, "start: neither"),
        ("series", {"start": "-5"}, "start: neither"),
        ("series", {"start": "99999999"}, "start: 99999999 minutes are more than"),
        ("series", {"start": "1969-12-31T23:59:00Z"}, "start: not a time between 1970 and 2200"),
        ("series", {"end": "9999-12-31T23:59:59Z"}, "end: not a time between 1970 and 2200"),
        ("series", {"start": "0"}, "start: 2026-01-01T00:01:00.000Z is not before the end"),
        ("series", {"start": "9", "end": "9"}, "start: 2025-12-31T23:52:00.000Z is not before the end"),
        ("series", {"step": "0"}, "step: input should be greater than or equal to 1"),
        ("series", {"step": "x"}, "step: input should be a valid integer"),
        ("top", {"dimension": "all"}, "dimension: "),
        ("top", {"measure": "money"}, "measure: "),
        ("top", {"n": "1001"}, "n: input should be less than or equal to 1000"),
        ("users", {"minutes": "0"}, "minutes: "),
        ("users", {"minutes": "5", "start": "9"}, "minutes: not together with start"),
        ("users", {"start": "44641"}, "start: more than 44640 minutes"),
        ("trace/" + "x" * 65, {}, "event_id: "),
    ],
)
def test_a_wrong_parameter_is_named(client: TestClient, path: str, params: dict[str, str], says: str) -> None:
    assert problem(client.get(f"/v1/{path}", params=params), 422).startswith(says)


# --- versions, quality, traces -------------------------------------------------------------------


def test_versions_and_which_is_current(world: ApiWorld, client: TestClient) -> None:
    world.batch.publish(21, {CLICKS_0: 12}, {NOW_MINUTE: {ALL: (1, 0, 0, 0)}}, counters={"accepted": 11})
    world.batch.store.rollback(1)
    world.tick()
    first, second = ok(client.get("/v1/versions"))["versions"]
    assert first == {
        "version": 1,
        "current": True,
        "cut": {"epoch": 20, "time": "1970-01-01T00:10:00.000Z"},
        "created": NOW,
        "full": True,
        "engine": "tests",
        "accepted": 10,
        "files": 2,
    }
    assert (second["version"], second["current"], second["accepted"]) == (2, False, 11)


def test_a_version_that_cannot_be_read_is_not_listed_and_the_answer_stays(world: ApiWorld, client: TestClient) -> None:
    next(world.batch.store.data.parent.glob("v0*.json")).write_text("{}")
    document = ok(client.get("/v1/versions"))
    assert document["versions"] == []
    assert document["provenance"]["batch_version"] == 1


def test_the_quality_of_the_current_version(world: ApiWorld, client: TestClient) -> None:
    assert without_provenance(client.get("/v1/quality")) == {"version": 1, "report": QUALITY}
    world.batch.publish(20, {CLICKS_0: 11})
    world.tick()
    assert problem(client.get("/v1/quality"), 404) == "no quality rules ran on version 2"


def test_before_the_first_version_there_is_no_quality_yet(tmp_path: Path) -> None:
    world = ApiWorld(tmp_path)
    world.count()
    world.tick()
    with world, TestClient(world.api) as client:
        assert "no batch view yet" in problem(client.get("/v1/quality"), 503)
        document = ok(client.get("/v1/versions"))
        assert document["versions"] == []
        assert document["provenance"]["states"] == ["no batch view yet"]


@pytest.mark.parametrize("path", ["quality", "versions"])
def test_a_mode_without_a_batch_view_has_none(tmp_path: Path, path: str) -> None:
    world = ApiWorld(tmp_path, batch=False)
    world.count()
    world.tick()
    with world, TestClient(world.api) as client:
        assert problem(client.get(f"/v1/{path}"), 404) == "the mode kappa has no batch view"
        assert ok(client.get("/v1/totals"))["provenance"]["batch_version"] is None


def test_a_trace_of_an_event(world: ApiWorld, client: TestClient) -> None:
    document = without_provenance(client.get("/v1/trace/event-1"))
    assert document == {"event_id": "event-1", "trace": {"offset": 3}}
    assert problem(client.get("/v1/trace/event-2"), 404) == "the event 'event-2' is not in the log"
    world.ends = None
    assert problem(client.get("/v1/trace/event-1"), 503) == "Kafka does not answer"


# --- problems and health -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["totals", "series", "top", "users", "quality", "versions", "trace/event-1", "../readyz"]
)
def test_without_an_answer_there_is_a_problem_and_no_number(world: ApiWorld, client: TestClient, path: str) -> None:
    world.reader.trouble = UnavailableError("Redis does not answer: away")
    world.tick()
    response = client.get(f"/v1/{path}")
    assert problem(response, 503) == "Redis does not answer: away"
    assert response.headers["retry-after"] == "1"


def test_an_old_answer_says_so_and_is_then_refused(world: ApiWorld, client: TestClient) -> None:
    world.clock += 2
    world.log_ends.ask()
    assert ok(client.get("/v1/totals"))["provenance"]["states"] == ["answer 2.0 s old"]
    world.clock += 4
    assert "6.0 s old" in problem(client.get("/v1/totals"), 503)


def test_views_that_do_not_meet_are_no_answer(world: ApiWorld, client: TestClient) -> None:
    world.speed.raise_floor(30)
    world.tick()
    assert "the speed view begins at epoch 30" in problem(client.get("/v1/totals"), 503)


def test_what_is_not_there_is_a_problem_too(client: TestClient) -> None:
    assert problem(client.get("/v1/nothing"), 404)
    assert problem(client.post("/v1/totals"), 405)


def test_health_does_not_need_an_answer(tmp_path: Path) -> None:
    with ApiWorld(tmp_path) as world, TestClient(world.api) as client:
        assert client.get("/healthz").text == "alive\n"
        assert "no answer yet" in problem(client.get("/readyz"), 503)
        world.publish()
        world.tick()
        assert client.get("/readyz").text == "ready\n"


def test_metrics_count_requests_by_route(world: ApiWorld, client: TestClient) -> None:
    client.get("/v1/totals")
    client.get("/v1/trace/event-1")
    client.get("/v1/trace/event-2")
    client.get("/wp-login.php")
    client.get("/v1/series", params={"step": 0})
    lines = client.get("/metrics").text.splitlines()
    for line in (
        'fourfold_api_requests_total{route="/v1/totals",status="200"} 1.0',
        'fourfold_api_requests_total{route="/v1/trace/{event_id}",status="200"} 1.0',
        'fourfold_api_requests_total{route="/v1/trace/{event_id}",status="404"} 1.0',
        'fourfold_api_requests_total{route="/v1/series",status="422"} 1.0',
        'fourfold_api_requests_total{route="other",status="404"} 1.0',
        'fourfold_api_request_duration_seconds_count{route="/v1/totals"} 1.0',
        "fourfold_api_ticks_total 1.0",
        "fourfold_api_ready 1.0",
        "fourfold_api_watchers 0.0",
        'fourfold_api_lag_records{partition="0",topic="clicks"} 2.0',
        'fourfold_api_dead_letters{reason="not_json"} 1.0',
    ):
        assert line in lines


def test_a_bug_is_no_answer_and_is_not_swallowed(world: ApiWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Users:
        raise ZeroDivisionError

    monkeypatch.setattr(world.merge, "users", broken)
    with pytest.raises(ZeroDivisionError):
        TestClient(world.api).get("/v1/users")
    assert (
        TestClient(world.api, raise_server_exceptions=False).get("/v1/users", params={"minutes": 2}).status_code == 500
    )


def test_the_api_knows_the_dimensions_and_measures_of_the_core() -> None:
    made = models.models_of(SHOP)
    assert get_args(made.dimension) == DIMENSIONS
    assert get_args(made.ranked) == DIMENSIONS[1:]
    assert get_args(made.measure) == MEASURES
    assert tuple(made.totals.model_fields["totals"].annotation.model_fields) == MEASURES


def test_a_view_without_any_event_has_zeros(tmp_path: Path) -> None:
    world = ApiWorld(tmp_path)
    world.speed.flush()
    world.tick()
    with world, TestClient(world.api) as client:
        assert world.ticker.answer().totals == Answer(ZERO).totals
        assert ok(client.get("/v1/totals"))["totals"] == NOTHING
        assert ok(client.get("/v1/top"))["values"] == []
        assert ok(client.get("/v1/users"))["users"] == 0


def test_a_processor_behind_the_cut_is_said(tmp_path: Path) -> None:
    world = ApiWorld(tmp_path)
    world.publish()
    world.count(new=at(4, 2))
    world.tick()
    with world, TestClient(world.api) as client:
        assert ok(client.get("/v1/totals"))["provenance"]["states"] == ["processor behind the cut"]


def test_the_pages_name_no_other_server(client: TestClient) -> None:
    page = client.get("/docs").text
    assert "//" not in page.replace("// ", "").replace("window.location.origin", "")
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"):
        assert f"/docs/files/{name}" in page
        assert client.get(f"/docs/files/{name}").status_code == 200
