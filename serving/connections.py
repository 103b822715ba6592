"""Connections of the API's server: a bounded number, each with a bounded time for what the client has to do."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

from adapters.http.headers import SECURITY_HEADERS, head_lines
from adapters.http.problems import MEDIA_TYPE, problem_line

#: Files of this process that are no connections: stores, the lake, libraries.
_OTHER_FILES: Final = 64
_FEWEST: Final = 16
#: So many files are asked of the system, where it allows them.
_MOST_FILES: Final = 16_384
#: What macOS gives each process.
_MACOS_FILES: Final = 10_240
#: Who is turned away has a moment to take the answer, if not too many are.
_REFUSED_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class Limits:
    """In seconds.

    Attributes:
        most: connections at once.
        head_s: for the head of a request, from the connection's beginning or the answer before.
        stall_s: for a client that takes nothing of what it is sent.
        refused_s: for a client that is turned away.
    """

    most: int
    head_s: float = 10.0
    stall_s: float = 60.0
    refused_s: float = 2.0


def most_connections() -> int:
    """How many connections this process has files for; raises its limit of files as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    infinite = resource.RLIM_INFINITY
    wanted = _MOST_FILES if hard == infinite else min(hard, _MOST_FILES)
    for limit in (wanted, min(wanted, _MACOS_FILES)):
        if soft == infinite or soft >= limit:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        except (OSError, ValueError):
            # macOS calls the limit infinite and refuses what is above another one
            continue
        soft = limit
        break
    files = _MOST_FILES if soft == infinite else min(soft, _MOST_FILES)
    return max(_FEWEST, files - _open_files() - _OTHER_FILES)


def _open_files() -> int:
    try:
        # on Linux and macOS alike
        return len(os.listdir("/dev/fd"))  # noqa: PTH208 - names are all that is wanted
    except OSError:
        return _OTHER_FILES


class Connection(H11Protocol):
    """One connection. `limits` is set by `protocol_with`."""

    limits: Limits

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._waits_since = self.loop.time()
        self._stalls_since: float | None = None
        self._refused = False
        self._ended = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called by the event loop; turns away who comes when there are too many."""
        super().connection_made(transport)
        over = len(self.connections) - self.limits.most
        self._refused = over > 0
        if over > _REFUSED_AT_ONCE:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        if self._ended:
            return
        if self._refused:
            # only now: an answer before the question is lost when the connection closes
            self._end(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections: try again in a moment")
            return
        super().data_received(data)

    def on_response_complete(self) -> None:
        """Called when an answer is sent."""
        self._waits_since = self.loop.time()
        super().on_response_complete()

    def sweep(self, now: float) -> None:
        """Ends the connection where the client has taken too long."""
        if self._ended or self.transport.is_closing():
            # closed, and the client does not take the rest
            if now - self._waits_since > self.limits.refused_s:
                self.transport.abort()
            return
        at_work = self.cycle is not None and not self.cycle.response_complete
        paused = self.flow is not None and self.flow.write_paused
        self._stalls_since = (self._stalls_since or now) if paused else None
        stalls = self._stalls_since is not None and now - self._stalls_since > self.limits.stall_s
        if stalls or (self._refused and now - self._waits_since > self.limits.refused_s):
            self.transport.abort()
        elif not at_work and now - self._waits_since > self.limits.head_s:
            self._waits_since = now
            self._end(HTTPStatus.REQUEST_TIMEOUT, "the head of the request took too long")

    def send_400_response(self, msg: str) -> None:
        """Called for what is not a request: no HTTP, or without one header Host."""
        del msg
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            # in the middle of an answer
            self.transport.abort()
            return
        self._end(
            HTTPStatus.BAD_REQUEST,
            "this is no HTTP request with one header Host and a head of bounded length: see RFC 9112",
        )

    def _end(self, status: HTTPStatus, detail: str) -> None:
        self._ended = True
        self._waits_since = self.loop.time()
        text = problem_line(status, detail)
        headers = {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(text)), "Connection": "close"}
        if status is not HTTPStatus.BAD_REQUEST:
            headers["Retry-After"] = "1"
        head = f"HTTP/1.1 {status:d} {status.phrase}\r\n".encode("ascii")
        self.transport.write(head + head_lines({**headers, **SECURITY_HEADERS}) + b"\r\n" + text)
        self.transport.close()


def protocol_with(limits: Limits) -> type[Connection]:
    """The protocol that uvicorn makes for each connection."""
    return type("LimitedConnection", (Connection,), {"limits": limits})


def sweep(connections: Iterable[object], now: float) -> None:
    """Ends those that have taken too long. `now`: of the event loop."""
    for connection in list(connections):
        if isinstance(connection, Connection):
            connection.sweep(now)
