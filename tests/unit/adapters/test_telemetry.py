"""Metrics and health over HTTP: what each path answers."""

from __future__ import annotations

import itertools
import json
import socket
from collections.abc import Iterable, Iterator
from http.client import HTTPConnection, HTTPResponse
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

import adapters.telemetry
from adapters.health_probe import healthy
from adapters.http.headers import SECURITY_HEADERS
from adapters.http.hosts import AllowedHosts
from adapters.listening import Place
from adapters.telemetry import Telemetry
from core.errors import ConfigurationError
from tests.support.waiting import until


class Role:
    """A role with telemetry on a free port."""

    def __init__(self) -> None:
        self.ready = False
        registry = CollectorRegistry()
        self.counter = Counter("things", "things done", registry=registry)
        self.telemetry = Telemetry("127.0.0.1", 0, registry, lambda: self.ready)

    def get(self, path: str, method: str = "GET") -> tuple[int, str, str]:
        connection = HTTPConnection(self.telemetry.address, timeout=10)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
        finally:
            connection.close()


@pytest.fixture
def role() -> Iterator[Role]:
    made = Role()
    yield made
    made.telemetry.close()


def test_metrics_are_those_of_now(role: Role) -> None:
    role.counter.inc(3)
    status, kind, body = role.get("/metrics")
    assert (status, kind.split(";")[0]) == (200, "text/plain")
    assert "things_total 3.0" in body


def test_health_says_alive_and_readiness_follows_the_role(role: Role) -> None:
    assert role.get("/healthz") == (200, "text/plain", "alive\n")
    assert role.get("/readyz") == (503, "text/plain", "not ready\n")
    role.ready = True
    assert role.get("/readyz?verbose=1") == (200, "text/plain", "ready\n")


@pytest.mark.parametrize("path", ["/", "/metrics/x", "/../etc/passwd", "//", "/%00"])
def test_other_paths_are_told_what_there_is(role: Role, path: str) -> None:
    status, _, body = role.get(path)
    assert status == 404
    assert "/metrics, /healthz and /readyz" in body


def test_nothing_can_be_posted(role: Role) -> None:
    assert role.get("/metrics", "POST")[0] == 501


def test_a_line_that_is_no_request_does_not_end_the_service(role: Role) -> None:
    host, port = role.telemetry.address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"\xff\x00\r\n\r\n")
    assert role.get("/healthz")[0] == 200


def test_a_port_that_is_taken_is_refused_with_the_remedy(role: Role) -> None:
    port = int(role.telemetry.address.split(":")[1])
    with pytest.raises(ConfigurationError, match=rf"127\.0\.0\.1:{port} .* FOURFOLD_METRICS_PORT to another port"):
        Telemetry("127.0.0.1", port, CollectorRegistry(), lambda: True)


def test_a_host_that_is_not_here_is_refused() -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"^FOURFOLD_METRICS_HOST is '203\.0\.113\.1', which is not an address of this machine: ",
    ):
        Telemetry("203.0.113.1", 0, CollectorRegistry(), lambda: True)


def test_after_closing_nobody_listens(role: Role) -> None:
    closed = Role()
    address = closed.telemetry.address
    closed.telemetry.close()
    connection = HTTPConnection(address, timeout=10)
    with pytest.raises(OSError, match=r"."):
        connection.request("GET", "/healthz")


def test_what_is_dead_is_said_by_name() -> None:
    telemetry = Telemetry("127.0.0.1", 0, CollectorRegistry(), lambda: True, lambda: "board: a bug (KeyError: 'x')")
    try:
        assert get(telemetry, "/healthz") == (503, b"board: a bug (KeyError: 'x')\n")
        assert get(telemetry, "/readyz") == (503, b"not ready\n")
    finally:
        telemetry.close()


def get(telemetry: Telemetry, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
    connection = HTTPConnection(telemetry.address, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_a_head_is_the_answer_without_its_body(role: Role) -> None:
    assert get(role.telemetry, "/healthz", "HEAD") == (200, b"")


def test_long_headers_are_taken_and_endless_ones_refused(role: Role) -> None:
    assert get(role.telemetry, "/healthz", X="x" * 10_000) == (200, b"alive\n")
    assert get(role.telemetry, "/healthz", X="x" * 70_000)[0] == 431


def raw(role: Role, *head: str) -> tuple[int, str, dict[str, str]]:
    """Status, body and headers of the answer to a head that is sent as it is."""
    host, port = role.telemetry.address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall("".join(f"{line}\r\n" for line in (*head, "")).encode())
        answer = HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.read().decode(), dict(answer.headers)


REFUSED = [
    (421, ["Host: rebind.example"]),
    (421, ["Host: localhost.evil.example:9100", "X-Forwarded-Host: localhost"]),
    (400, ["Host: localhost", "Host: rebind.example"]),
    (400, ["Host:"]),
    (400, []),
]


def test_unknown_hosts_are_refused_in_one_line_of_json(role: Role) -> None:
    for path, version in itertools.product(("/metrics", "/healthz", "/readyz", "/"), ("1.0", "1.1")):
        for status, head in REFUSED:
            got, body, headers = raw(role, f"GET {path} HTTP/{version}", *head)
            assert got == status
            assert headers["Content-Type"] == "application/problem+json"
            assert json.loads(body)["status"] == status
            assert body.count("\n") == 1


def test_a_service_name_is_allowed_by_the_setting() -> None:
    telemetry = Telemetry("127.0.0.1", 0, CollectorRegistry(), lambda: True, hosts=AllowedHosts(["process"]))
    try:
        assert get(telemetry, "/metrics", Host="process:9100")[0] == 200
        assert get(telemetry, "/metrics", Host="batch:9100")[0] == 421
    finally:
        telemetry.close()


def test_every_answer_has_the_security_headers(role: Role) -> None:
    for head in (
        *(["GET /healthz HTTP/1.1", "Host: localhost"], ["GET /readyz HTTP/1.1", "Host: localhost"]),
        *(["GET / HTTP/1.1", "Host: localhost"], ["POST /metrics HTTP/1.1", "Host: localhost"]),
        *(["GET /metrics HTTP/1.1", "Host: rebind.example"], ["GET / HTTP/9.9"], ["nonsense"], ["GET /"]),
    ):
        assert SECURITY_HEADERS.items() <= raw(role, *head)[2].items()


class Broken(Collector):
    def collect(self) -> Iterable[Metric]:
        raise KeyError("a bug")


def test_a_collector_that_fails_is_said_and_health_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    # whichever way other tests have left the logs
    monkeypatch.setattr(adapters.telemetry, "log", SimpleNamespace(exception=lambda event, **_: said.append(event)))
    registry = CollectorRegistry()
    registry._collector_to_names[Broken()] = []
    telemetry = Telemetry("127.0.0.1", 0, registry, lambda: True)
    try:
        for _ in range(20):
            assert get(telemetry, "/metrics") == (500, b"KeyError: 'a bug'\n")
        assert get(telemetry, "/healthz")[0] == 200
    finally:
        telemetry.close()
    # one traceback a minute
    assert said == ["a request for metrics or health failed"]


class Bounded(Iterable[socket.socket]):
    """Connections to telemetry that gives each one a second, and takes four at once."""

    def __init__(self) -> None:
        self.telemetry = Telemetry("127.0.0.1", 0, CollectorRegistry(), lambda: True, limit_s=1.0, most=4)
        self.opened: list[socket.socket] = []

    def open(self, sends: bytes = b"") -> socket.socket:
        host, port = self.telemetry.address.split(":")
        made = socket.create_connection((host, int(port)), timeout=10)
        made.sendall(sends)
        self.opened.append(made)
        return made

    def __iter__(self) -> Iterator[socket.socket]:
        return iter(self.opened)


@pytest.fixture
def bounded() -> Iterator[Bounded]:
    made = Bounded()
    yield made
    for each in made:
        each.close()
    made.telemetry.close()


@pytest.mark.parametrize("sends", [b"", b"GET /metr", b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n"])
def test_who_says_nothing_or_half_a_request_is_let_go(bounded: Bounded, sends: bytes) -> None:
    assert bounded.open(sends).recv(1) == b""


def test_who_dribbles_is_let_go(bounded: Bounded) -> None:
    connection = bounded.open(b"GET /")

    def gone() -> bool:
        try:
            connection.sendall(b"x")
        except OSError:
            return True
        return False

    until(gone, within_s=10, what="the end of who dribbles")


def test_who_is_one_too_many_is_told_and_later_all_is_well(bounded: Bounded) -> None:
    for _ in range(4):
        bounded.open()
    until(lambda: get(bounded.telemetry, "/healthz")[0] == 503, within_s=5, what="the limit")
    until(lambda: get(bounded.telemetry, "/healthz")[0] == 200, within_s=10, what="room again")


def test_the_probe_of_a_container_sees_health_and_no_proxy(role: Role, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    host, port = role.telemetry.address.split(":")
    assert healthy(host, int(port))
    assert healthy("0.0.0.0", int(port))
    with Place("127.0.0.1", 0, "", "").listener() as silent:
        other = silent.getsockname()[1]
    assert not healthy(host, other)


def test_metrics_are_served_over_ipv6() -> None:
    telemetry = Telemetry("::1", 0, CollectorRegistry(), lambda: True)
    try:
        assert telemetry.address.startswith("[::1]:")
        assert healthy("::1", int(telemetry.address.rpartition(":")[2]))
    finally:
        telemetry.close()
