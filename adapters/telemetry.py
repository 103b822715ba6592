"""Metrics and health of a role over HTTP: `/metrics`, `/healthz`, `/readyz`."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Final

import structlog
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from adapters.http.headers import SECURITY_HEADERS, head_lines
from adapters.http.hosts import AllowedHosts
from adapters.http.problems import MEDIA_TYPE, problem_line
from adapters.listening import Place, joined
from adapters.seldom import Seldom
from core.secrets import redacted

log = structlog.get_logger(__name__)

Ready = Callable[[], bool]
#: What is dead in this process, in words; empty where all is well.
Trouble = Callable[[], str]
Answer = tuple[int, str, bytes]
#: What a path gets.
Answers = Callable[[str], Answer]

#: From the first byte of a request to the last one of its answer.
LIMIT_S: Final = 10.0
#: So many connections at once; who comes then is turned away.
MOST_CONNECTIONS: Final = 32
_BUSY: Final = (
    b"HTTP/1.0 503 Service Unavailable\r\n"
    + head_lines({"Content-Type": MEDIA_TYPE, "Connection": "close", **SECURITY_HEADERS})
    + b"\r\n"
    + problem_line(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections: try again in a moment")
)
_PAUSE_S: Final = 0.2


def process_registry() -> CollectorRegistry:
    """A registry that has the process itself: CPU, memory, open files, start; the interpreter and its garbage."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class Telemetry:
    """Serves from a thread of its own until the process ends or `close`."""

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        ready: Ready,
        trouble: Trouble = str,
        hosts: AllowedHosts | None = None,
        *,
        limit_s: float = LIMIT_S,
        most: int = MOST_CONNECTIONS,
    ) -> None:
        """`port` 0 takes a free one. `hosts`: which it answers to; None for those that are always allowed.

        Raises `ConfigurationError` where nothing can listen there.
        """
        parts = {
            "timeout": limit_s,
            "answers": staticmethod(_answers(registry, ready, trouble)),
            "hosts": hosts or AllowedHosts(),
        }
        handler = type("Handler", (_Handler,), parts | {"refused": Seldom()})
        place = Place(host, port, "metrics", "FOURFOLD_METRICS")
        family, address = place.resolved()
        try:
            self._server = _Server(family, address, handler, limit_s, most)
        except OSError as error:
            raise place.refused(error) from error
        threading.Thread(target=self._server.serve_forever, name="telemetry", daemon=True).start()

    @property
    def address(self) -> str:
        """`host:port` as bound."""
        host, port = self._server.server_address[:2]
        return joined(str(host), port)

    def close(self) -> None:
        """Stops serving."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """One connection. The attributes are set by `Telemetry`."""

    # also what is no request is answered with a status
    default_request_version = "HTTP/1.0"
    answers: Answers
    hosts: AllowedHosts
    refused: Seldom

    def parse_request(self) -> bool:
        """Whether the request can be answered; if not, it was told so."""
        if not super().parse_request():
            return False
        refusal = self.hosts.refusal(self.headers.get_all("Host", []))
        if refusal is None:
            return True
        if self.refused.now():
            log.warning("a request for metrics or health was refused", reason=refusal.detail)
        self.send_error(*refusal)
        return False

    def do_GET(self) -> None:
        self._answer(*self.answers(self.path))

    def do_HEAD(self) -> None:
        self._answer(*self.answers(self.path))

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response_only(status)
        headers = {
            "Date": self.date_time_string(),
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            **SECURITY_HEADERS,
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """The library's and our own refusals."""
        status = HTTPStatus(code)
        self.close_connection = True
        self._answer(code, MEDIA_TYPE, problem_line(status, message or explain or status.description))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Requests are not logged."""


class _Server(ThreadingHTTPServer):
    """Has a bounded number of connections, and each of them a bounded time."""

    daemon_threads = True

    def __init__(
        self,
        family: socket.AddressFamily,
        address: Any,
        handler: type[BaseHTTPRequestHandler],
        limit_s: float,
        most: int,
    ) -> None:
        self.address_family = family
        self._limit_s = limit_s
        self._most = most
        self._ends: dict[socket.socket, float] = {}
        self._away = Seldom()
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Without the question for the host's full name, over which a DNS that is away would take its time."""
        TCPServer.server_bind(self)

    def get_request(self) -> tuple[socket.socket, Any]:
        try:
            return super().get_request()
        except OSError as error:
            # no more files: the connection stays in the queue, and asking again at once would take a whole core
            if self._away.now():
                log.warning("metrics and health cannot take connections", reason=error.strerror)
            time.sleep(_PAUSE_S)
            raise

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - the library's signature
        if len(self._ends) < self._most:
            self._ends[request] = time.monotonic() + self._limit_s
            return True
        request.setblocking(False)
        with suppress(OSError):
            # what has arrived is read first: closing over it would take the answer back
            request.recv(1 << 16)
        with suppress(OSError):
            request.send(_BUSY)
        return False

    def shutdown_request(self, request: Any) -> None:
        self._ends.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Called twice a second: ends what takes too long, however busily it dribbles."""
        now = time.monotonic()
        for request, end in list(self._ends.items()):
            if now > end:
                with suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients go as they please: their connection ends, and nothing else."""


def _answers(registry: CollectorRegistry, ready: Ready, trouble: Trouble) -> Answers:
    def answer(path: str) -> Answer:
        match path.split("?", 1)[0]:
            case "/metrics":
                return 200, CONTENT_TYPE_LATEST, generate_latest(registry)
            case "/healthz":
                dead = trouble()
                return (503, "text/plain", f"{dead}\n".encode()) if dead else (200, "text/plain", b"alive\n")
            case "/readyz":
                is_ready = not trouble() and ready()
                return (200, "text/plain", b"ready\n") if is_ready else (503, "text/plain", b"not ready\n")
            case _:
                return 404, "text/plain", b"there are /metrics, /healthz and /readyz\n"

    failed = Seldom()

    def safely(path: str) -> Answer:
        try:
            return answer(path)
        except Exception as error:
            if failed.now():
                log.exception("a request for metrics or health failed", path=path)
            return 500, "text/plain", redacted(f"{type(error).__name__}: {error}\n").encode()

    return safely
