"""Metrics and health over HTTP: what each path answers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest
from prometheus_client import CollectorRegistry, Counter

from adapters.telemetry import Telemetry
from core.errors import ConfigurationError


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
    with pytest.raises(ConfigurationError, match="metrics cannot be served at"):
        Telemetry("203.0.113.1", 0, CollectorRegistry(), lambda: True)


def test_after_closing_nobody_listens(role: Role) -> None:
    closed = Role()
    address = closed.telemetry.address
    closed.telemetry.close()
    connection = HTTPConnection(address, timeout=10)
    with pytest.raises(OSError, match=r"."):
        connection.request("GET", "/healthz")
