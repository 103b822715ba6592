"""Metrics and health of a role over HTTP: `/metrics`, `/healthz`, `/readyz`."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Final

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from adapters.listening import Place, joined
from core.secrets import redacted

log = structlog.get_logger(__name__)

Ready = Callable[[], bool]
#: What is dead in this process, in words; empty where all is well.
Trouble = Callable[[], str]
Answer = tuple[int, str, bytes]

#: From the first byte of a request to the last one of its answer.
LIMIT_S: Final = 10.0
#: So many connections at once; who comes then is turned away.
MOST_CONNECTIONS: Final = 32
#: What goes wrong again and again is said so often.
SAY_EVERY_S: Final = 60.0
_BUSY: Final = (
    b"HTTP/1.0 503 Service Unavailable\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\ntoo many connections\n"
)
_PAUSE_S: Final = 0.2


class Telemetry:
    """Serves from a thread of its own until the process ends or `close`."""

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        ready: Ready,
        trouble: Trouble = str,
        *,
        limit_s: float = LIMIT_S,
        most: int = MOST_CONNECTIONS,
    ) -> None:
        """`port` 0 takes a free one. Raises `ConfigurationError` where nothing can listen there."""
        answers = _answers(registry, ready, trouble)

        class Handler(BaseHTTPRequestHandler):
            timeout = limit_s

            def do_GET(self) -> None:
                self._answer(with_body=True)

            def do_HEAD(self) -> None:
                self._answer(with_body=False)

            def _answer(self, *, with_body: bool) -> None:
                status, kind, body = answers(self.path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if with_body:
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Requests are not logged."""

        place = Place(host, port, "metrics", "FOURFOLD_METRICS")
        family, address = place.resolved()
        try:
            self._server = _Server(family, address, Handler, limit_s, most)
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
        self._said_at = float("-inf")
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Without the question for the host's full name, over which a DNS that is away would take its time."""
        TCPServer.server_bind(self)

    def get_request(self) -> tuple[socket.socket, Any]:
        try:
            return super().get_request()
        except OSError as error:
            # no more files: the connection stays in the queue, and asking again at once would take a whole core
            if time.monotonic() - self._said_at > SAY_EVERY_S:
                self._said_at = time.monotonic()
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


def _answers(registry: CollectorRegistry, ready: Ready, trouble: Trouble) -> Callable[[str], Answer]:
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

    said_at = float("-inf")

    def safely(path: str) -> Answer:
        nonlocal said_at
        try:
            return answer(path)
        except Exception as error:
            if time.monotonic() - said_at > SAY_EVERY_S:
                said_at = time.monotonic()
                log.exception("a request for metrics or health failed", path=path)
            return 500, "text/plain", redacted(f"{type(error).__name__}: {error}\n").encode()

    return safely
