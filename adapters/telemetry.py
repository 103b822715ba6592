"""Metrics and health of a role over HTTP: `/metrics`, `/healthz`, `/readyz`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from core.errors import ConfigurationError

Ready = Callable[[], bool]


class Telemetry:
    """Serves from a thread of its own until the process ends or `close`."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry, ready: Ready) -> None:
        """`port` 0 takes a free one. Raises `ConfigurationError` where it cannot be bound."""
        answers = _answers(registry, ready)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, kind, body = answers(self.path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Requests are not logged."""

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            raise ConfigurationError(
                f"metrics cannot be served at {host}:{port} ({error.strerror}): set "
                "FOURFOLD_METRICS_PORT to another port, or to 0 for a free one"
            ) from error
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="telemetry", daemon=True).start()

    @property
    def address(self) -> str:
        """`host:port` as bound."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def close(self) -> None:
        """Stops serving."""
        self._server.shutdown()
        self._server.server_close()


def _answers(registry: CollectorRegistry, ready: Ready) -> Callable[[str], tuple[int, str, bytes]]:
    def answer(path: str) -> tuple[int, str, bytes]:
        match path.split("?", 1)[0]:
            case "/metrics":
                return 200, CONTENT_TYPE_LATEST, generate_latest(registry)
            case "/healthz":
                return 200, "text/plain", b"alive\n"
            case "/readyz":
                return (200, "text/plain", b"ready\n") if ready() else (503, "text/plain", b"not ready\n")
            case _:
                return 404, "text/plain", b"there are /metrics, /healthz and /readyz\n"

    return answer
