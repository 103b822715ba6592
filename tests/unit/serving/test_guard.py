"""The guard around the API: unknown hosts reach no route, and every answer has the security headers."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.routing import Mount, Route

from adapters.http.headers import SECURITY_HEADERS
from core.errors import UnavailableError
from serving.merge import Users
from tests.support.api_world import ApiWorld

DASHBOARD = Path(__file__).parents[3] / "serving" / "dashboard"
EVIL = ("rebind.example", "localhost.evil.example:8000", "127.0.0.1.nip.io")
#: What each kind of answer is: path, status.
ANSWERS = [
    *(("/v1/totals", 200), ("/v1/nothing", 404), ("/v1/series?step=0", 422), ("/v1/dead-letters", 200)),
    *(("/", 200), ("/dashboard/app.js", 200), ("/dashboard/nothing.js", 404), ("/v1/totals/", 307)),
    *(("/docs", 200), ("/docs/files/swagger-ui.css", 200), ("/openapi.json", 200)),
    *(("/healthz", 200), ("/readyz", 200), ("/metrics", 200)),
]


def paths(world: ApiWorld) -> list[str]:
    """A path of each route and each mount."""
    found = []
    for route in world.api.routes:
        assert isinstance(route, Route | Mount)
        found.append(re.sub(r"{.*?}", "x", route.path) + ("/x" if isinstance(route, Mount) else ""))
    return found


def test_no_route_answers_an_unknown_host(world: ApiWorld, client: TestClient) -> None:
    found = paths(world)
    assert len(found) > 15
    for path in [*found, "/v1/nothing", "//evil"]:
        for host in EVIL:
            answer = client.get(
                path, headers={"host": host, "x-forwarded-host": "localhost", "forwarded": "host=localhost"}
            )
            assert (answer.status_code, answer.headers["content-type"]) == (421, "application/problem+json"), path
            assert answer.json().keys() == {"title", "status", "detail"}
            assert answer.text.count("\n") == 1
            assert guarded(answer.headers)
    assert 'fourfold_api_requests_total{route="other",status="421"}' in client.get("/metrics").text


def test_methods_make_no_difference(client: TestClient) -> None:
    for method in ("HEAD", "OPTIONS", "POST", "TRACE", "FOO"):
        assert client.request(method, "/v1/totals", headers={"host": EVIL[0]}).status_code == 421


def test_localhost_and_addresses_are_answered(client: TestClient) -> None:
    for host in ("localhost:8000", "LOCALHOST.", "127.0.0.1:1", "[::1]:8000", "10.0.0.3"):
        assert client.get("/v1/totals", headers={"host": host}).status_code == 200


def test_a_request_must_name_one_host(world: ApiWorld) -> None:
    for hosts, status in (([], 400), (["localhost"] * 2, 400), (["localhost", EVIL[0]], 400), (["localhost"], 200)):
        assert asyncio.run(_called(world, hosts)) == status


async def _called(world: ApiWorld, hosts: list[str], kind: str = "http") -> int:
    sent: list[dict[str, Any]] = []
    scope = {
        "type": kind, "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "path": "/v1/totals",
        "raw_path": b"/v1/totals", "root_path": "", "scheme": "http", "query_string": b"",
        "headers": [(b"host", host.encode()) for host in hosts],
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await world.api(scope, receive, send)
    return int(sent[0].get("status") or sent[0]["code"])


def test_a_web_socket_of_an_unknown_host_is_closed_before_it_opens(world: ApiWorld) -> None:
    assert asyncio.run(_called(world, [EVIL[0]], "websocket")) == 1008


def guarded(headers: Any) -> bool:
    """Whether an answer has all security headers; policy and cache may fit the page."""
    own = {"Content-Security-Policy", "Cache-Control"}
    return all(headers.get(name) == value for name, value in SECURITY_HEADERS.items() if name not in own) and all(
        name in headers for name in own
    )


@pytest.mark.parametrize(("path", "status"), ANSWERS)
def test_every_kind_of_answer_has_the_security_headers(client: TestClient, path: str, status: int) -> None:
    answer = client.get(path, follow_redirects=False)
    assert answer.status_code == status
    assert guarded(answer.headers)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy.replace(" 'unsafe-eval'", "", int(path == "/" or path.startswith("/dashboard/")))


#: How text becomes code or markup.
EVALUATES = re.compile(
    r"\b(eval|execScript|Function)\s*\(|\b(inner|outer)HTML\b|insertAdjacentHTML|document\.write|javascript:"
    r"|set(Timeout|Interval)\(\s*['\"`]|\bimport\("
)


def test_the_dashboard_s_scripts_evaluate_no_text() -> None:
    scripts = {file.name: file.read_text() for file in DASHBOARD.rglob("*.js")}
    assert scripts
    assert {name: found[0] for name, text in scripts.items() if (found := EVALUATES.search(text))} == {}
    for each in ("eval(text)", "new Function(x)", "a.innerHTML = x", 'setTimeout("x()", 1)'):
        assert EVALUATES.search(each)


def test_refused_methods_stores_that_are_away_and_bugs_have_them_too(
    world: ApiWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = TestClient(world.api, raise_server_exceptions=False)
    assert guarded(client.post("/v1/totals").headers)
    world.reader.trouble = UnavailableError("Redis does not answer")
    world.tick()
    away = client.get("/v1/totals")
    assert (away.status_code, guarded(away.headers)) == (503, True)
    world.reader.trouble = None
    world.tick()

    def broken(*_: object) -> Users:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(world.merge, "users", broken)
    bug = client.get("/v1/users")
    assert (bug.status_code, guarded(bug.headers)) == (500, True)
    assert bug.headers["content-type"] == "application/problem+json"
    assert "ZeroDivisionError" in bug.json()["detail"]
    assert "secret" not in bug.text
    assert 'fourfold_api_requests_total{route="/v1/users",status="500"} 1.0' in client.get("/metrics").text


def test_files_of_a_page_may_be_kept_and_numbers_may_not(client: TestClient) -> None:
    for path, cache in (("/", "no-cache"), ("/dashboard/worker.js", "no-cache"), ("/docs", "no-cache")):
        assert client.get(path).headers["cache-control"] == cache
    for path in ("/v1/totals", "/v1/dead-letters", "/metrics", "/healthz", "/v1/nothing"):
        assert client.get(path).headers["cache-control"] == "no-store"
    # a shared worker has the policy of its own file
    assert "connect-src 'self'" in client.get("/dashboard/worker.js").headers["content-security-policy"]
