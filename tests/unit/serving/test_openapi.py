"""The OpenAPI document: complete, and every answer to any request is as it says."""

from __future__ import annotations

from typing import Any, Final

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckContext, CheckFunction
from schemathesis.core.transport import Response
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
    "/v1/totals": {"200", "422"},
    "/v1/series": {"200", "422"},
    "/v1/top": {"200", "422"},
    "/v1/users": {"200", "422"},
    "/v1/stream": {"200"},
    "/v1/quality": {"200", "404"},
    "/v1/versions": {"200", "404"},
    "/v1/dead-letters": {"200", "404", "422"},
    "/v1/live": {"200"},
    "/v1/trace/{event_id}": {"200", "404", "422"},
    "/healthz": {"200"},
    "/readyz": {"200"},
    "/metrics": {"200"},
}
#: What any request may get, whatever it asks for.
EVERYWHERE: Final = {"400", "408", "421", "500", "503"}
#: Names of functions in clients that are generated: they stay.
OPERATIONS: Final = {
    "/v1/totals": "getTotals",
    "/v1/series": "getSeries",
    "/v1/top": "getTop",
    "/v1/users": "getUsers",
    "/v1/stream": "getStream",
    "/v1/quality": "getQuality",
    "/v1/versions": "getVersions",
    "/v1/dead-letters": "getDeadLetters",
    "/v1/live": "getLive",
    "/v1/trace/{event_id}": "getTrace",
    "/healthz": "getHealthz",
    "/readyz": "getReadyz",
    "/metrics": "getMetrics",
}


def no_bug(_context: CheckContext, response: Response, _case: Case) -> bool | None:
    """A 500 is documented, and never right."""
    assert response.status_code != 500
    return None


ENDLESS: Final = ("/v1/stream", "/v1/live")
#: `positive_data_acceptance` is not
#: among them: a schema cannot say that `start` is before `end`.
CHECKS: Final[list[CheckFunction]] = [
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    no_bug,
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
    found = {path: set(item["get"]["responses"]) for path, item in document["paths"].items()}
    assert found == {path: statuses | EVERYWHERE for path, statuses in ROUTES.items()}
    for path, item in document["paths"].items():
        assert item.keys() == {"get"}
        operation = item["get"]
        assert operation["summary"], path
        assert operation["description"], path
        assert operation["tags"], path
        assert all(parameter.get("description") for parameter in operation.get("parameters", [])), path
        for status, response in operation["responses"].items():
            reference = response.get("$ref", "").rsplit("/", 1)[-1]
            content = (document["components"]["responses"][reference] if reference else response)["content"]
            if status != "200":
                assert content.keys() == {"application/problem+json"}, path
                assert content["application/problem+json"]["example"]["status"] == int(status)
                assert content["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}
            elif path in ENDLESS:
                assert content.keys() == {"text/event-stream"}
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_the_document_is_valid_and_says_where_it_is_served_and_under_which_licence(world: ApiWorld) -> None:
    document = world.api.openapi()
    # what it needs has no wheel for Intel Macs
    validators = pytest.importorskip("openapi_spec_validator")
    validators.OpenAPIV31SpecValidator(document).validate()
    assert document["servers"][0]["url"] == "/"
    assert document["info"]["license"] == {"name": "Apache 2.0", "identifier": "Apache-2.0"}
    assert {tag["name"] for tag in document["tags"]} >= {
        tag for item in document["paths"].values() for tag in item["get"]["tags"]
    }
    assert {path: item["get"]["operationId"] for path, item in document["paths"].items()} == OPERATIONS


def test_every_field_of_an_answer_has_an_example_or_few_values(world: ApiWorld) -> None:
    for name, schema in world.api.openapi()["components"]["schemas"].items():
        for field, kind in schema.get("properties", {}).items():
            told = {"examples", "enum", "$ref", "items", "anyOf"} & kind.keys() or kind.get("type") == "boolean"
            assert told, f"{name}.{field}"


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


@pytest.mark.parametrize("path", [path for path in ROUTES if path not in (*ENDLESS, "/metrics")])
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
