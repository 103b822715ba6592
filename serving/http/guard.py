"""Outermost around the application: refuses hosts that are unknown, and puts the security headers on each answer."""

from __future__ import annotations

from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters.http.headers import SECURITY_HEADERS
from adapters.http.hosts import AllowedHosts
from adapters.http.problems import MEDIA_TYPE, problem_line
from adapters.seldom import Seldom

log = structlog.get_logger(__name__)

_START: Final = "http.response.start"


class HostGuard:
    """An ASGI middleware: a request for an unknown host reaches no route."""

    def __init__(self, app: ASGIApp, hosts: AllowedHosts) -> None:
        self._app = app
        self._hosts = hosts
        self._refused = Seldom()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands the request on, or answers with a problem."""
        refusal = None if scope["type"] == "lifespan" else self._hosts.refusal(Headers(scope=scope).getlist("host"))
        if refusal is None:
            await self._app(scope, receive, send)
            return
        if self._refused.now():
            log.warning("a request was refused", reason=refusal.detail)
        if scope["type"] == "websocket":
            # before the handshake: the server answers with status 403
            await send({"type": "websocket.close", "code": 1008})
            return
        await Response(problem_line(*refusal), refusal.status, media_type=MEDIA_TYPE)(scope, receive, send)


class SecurityHeaders:
    """An ASGI middleware: each answer has the headers; one that has its own keeps it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Adds to the head of the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == _START:
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, guarded)
