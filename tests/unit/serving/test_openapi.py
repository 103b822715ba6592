"""The OpenAPI document: complete, and every answer to any request is as it says."""

from __future__ import annotations

from typing import Any, Final

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.specs.openapi.schemas import OpenApiSchema

from core.errors import UnavailableError
from tests.support.api_world import ApiWorld

ROUTES: Final = {
    "/v1/totals": {"200", "422", "503"},
    "/v1/series": {"200", "422", "503"},
    "/v1/top": {"200", "422", "503"},
    "/v1/users": {"200", "422", "503"},
    "/v1/stream": {"200", "503"},
    "/v1/quality": {"200", "404", "503"},
    "/v1/versions": {"200", "404", "503"},
    "/v1/dead-letters": {"200", "404", "422", "503"},
    "/v1/live": {"200", "503"},
    "/v1/trace/{event_id}": {"200", "404", "422", "503"},
    "/healthz": {"200", "503"},
    "/readyz": {"200", "503"},
    "/metrics": {"200"},
}
ENDLESS: Final = ("/v1/stream", "/v1/live")
#: A 500 is undocumented, so `status_code_conformance` finds it. `positive_data_acceptance` is not
#: among them: a schema cannot say that `start` is before `end`.
CHECKS: Final[list[CheckFunction]] = [
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
]
FEW: Final = hypothesis.settings(
    max_examples=25, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
)
HOSTILE: Final = [
    *("", " ", "\x00", "\n", "a" * 5000, "😀", "../../etc/passwd", "%00", "' OR 1=1 --", "{{7*7}}", "<script>"),
    *("null", "NaN", "inf", "-0", "1e9", "9" * 30, "٣", "0x10", "1_000", "+5"),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00+99:99"),
]


@pytest.fixture
def schema(world: ApiWorld) -> OpenApiSchema:
    return schemathesis.openapi.from_asgi("/openapi.json", world.api)


def check_all(schema: OpenApiSchema, path: str, mode: GenerationMode) -> None:
    @FEW
    @hypothesis.given(case=schema[path]["GET"].as_strategy(generation_mode=mode))
    def conforms(case: Case) -> None:
        case.call_and_validate(checks=CHECKS)

    conforms()


def test_every_route_is_documented_with_all_its_answers(world: ApiWorld) -> None:
    document = world.api.openapi()
    assert {path: set(item["get"]["responses"]) for path, item in document["paths"].items()} == ROUTES
    for path, item in document["paths"].items():
        assert item.keys() == {"get"}
        operation = item["get"]
        assert operation["summary"], path
        assert operation["description"], path
        assert operation["tags"], path
        assert all(parameter.get("description") for parameter in operation.get("parameters", [])), path
        for status, response in operation["responses"].items():
            kinds = set(response["content"])
            if status != "200":
                assert kinds == {"application/problem+json"}, path
            elif path in ENDLESS:
                assert kinds == {"text/event-stream"}
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_what_a_document_says_about_time_is_taken(world: ApiWorld) -> None:
    for parameter in world.api.openapi()["paths"]["/v1/series"]["get"]["parameters"]:
        if parameter["name"] in ("start", "end"):
            kinds = {kind.get("format", kind["type"]) for kind in _flat(parameter["schema"])}
            assert kinds == {"integer", "date-time", "null"}


def _flat(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [inner for kind in schema["anyOf"] for inner in (_flat(kind) if "anyOf" in kind else [kind])]


@pytest.mark.parametrize("path", [path for path in ROUTES if path not in ENDLESS])
def test_any_request_is_answered_as_documented(schema: OpenApiSchema, path: str) -> None:
    check_all(schema, path, GenerationMode.POSITIVE)


@pytest.mark.parametrize("path", [path for path, statuses in ROUTES.items() if "422" in statuses])
def test_wrong_requests_are_refused_as_documented(schema: OpenApiSchema, path: str) -> None:
    check_all(schema, path, GenerationMode.NEGATIVE)


@pytest.mark.parametrize(
    "path", [path for path, statuses in ROUTES.items() if "503" in statuses and path not in ENDLESS]
)
def test_while_a_store_is_away_answers_are_as_documented(world: ApiWorld, schema: OpenApiSchema, path: str) -> None:
    world.reader.trouble = UnavailableError("Redis does not answer")
    world.tick()
    check_all(schema, path, GenerationMode.POSITIVE)


@pytest.mark.parametrize("path", ["/v1/totals", "/v1/series", "/v1/top", "/v1/users", "/v1/trace/{event_id}"])
def test_hostile_parameters_are_answered_as_documented(schema: OpenApiSchema, path: str) -> None:
    operation = schema[path]["GET"]
    names = [parameter.name for parameter in operation.query]
    for text in HOSTILE:
        for name in names or ["event_id"]:
            case = operation.Case(
                query={name: text} if names else {}, path_parameters={} if names else {"event_id": text or "-"}
            )
            response = case.call()
            assert response.status_code in (200, 404, 422), (name, text, response.text)
