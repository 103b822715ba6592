"""The server of the API: uvicorn on one socket, until it is told to stop."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import structlog
import uvicorn
from fastapi import FastAPI

from adapters.listening import Place, joined
from serving.connections import Limits, most_connections, protocol_with, sweep

log = structlog.get_logger(__name__)

#: Requests that are at work have so many seconds when the server stops.
_GRACE_S: Final = 1
#: What clients can make happen again and again is said so often.
SAY_EVERY_S: Final = 60.0
_BACKLOG: Final = 2048
#: So many connections are taken before those that are too many are turned away.
_ACCEPTS: Final = 8
_NO_FILES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
#: Ticks of the server, ten a second, from one sweep of the connections to the next.
_SWEEP_TICKS: Final = 10


def serve(
    api: FastAPI,
    host: str,
    port: int,
    *,
    stop: threading.Event,
    bound: Callable[[str], None],
    closing: Callable[[], None],
    ticked: Callable[[], object] = lambda: None,
    limits: Limits | None = None,
) -> None:
    """Serves until `stop` is set (by a signal handler of the caller, or another thread).

    `port` 0 takes a free one. `bound` is given the address, `host:port`, before the first request;
    `closing` is called first when the server stops: what open streams wait for must end by it.
    `ticked` is called ten times a second in the event loop. `limits`: of connections; None for the usual ones.
    Raises `ConfigurationError` where the address cannot be bound.
    """
    place = Place(host, port, "the API", "FOURFOLD_API")
    # who knows the address may connect: requests wait until the server has started
    with place.listener(_BACKLOG) as listener, _seldom():
        config = uvicorn.Config(
            api,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            backlog=_ACCEPTS,
            ws="none",
            http=protocol_with(limits or Limits(most_connections())),
            timeout_graceful_shutdown=_GRACE_S,
        )
        bound(_address(listener))
        _Server(config, stop, closing, ticked).run([listener])


class _Server(uvicorn.Server):
    """Leaves signals to the caller."""

    def __init__(
        self,
        config: uvicorn.Config,
        stop: threading.Event,
        closing: Callable[[], None],
        ticked: Callable[[], object],
    ) -> None:
        super().__init__(config)
        self._stop = stop
        self._closing = closing
        self._ticked = ticked
        self._said_at = float("-inf")

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """No signals are captured."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Asked ten times a second whether to stop."""
        self._ticked()
        if counter % _SWEEP_TICKS == 0:
            sweep(self.server_state.connections, asyncio.get_running_loop().time())
        return await super().on_tick(counter) or self._stop.is_set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to serve."""
        asyncio.get_running_loop().set_exception_handler(self._loop_error)
        await super().startup(sockets)
        # asyncio takes as many connections in one go as may wait: few there, many here
        for listener in sockets or ():
            listener.listen(_BACKLOG)

    def _loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not (isinstance(error, OSError) and error.errno in _NO_FILES):
            loop.default_exception_handler(context)
        elif time.monotonic() - self._said_at > SAY_EVERY_S:
            self._said_at = time.monotonic()
            log.warning(
                "no files for further connections: they wait; give the process more (ulimit -n)",
                reason=error.strerror,
                connections=len(self.server_state.connections),
            )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends streams, then waits for what is at work."""
        self._closing()
        await super().shutdown(sockets)


class _Seldom(logging.Filter):
    """One warning a minute of each kind that clients cause; errors all."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if record.levelno > logging.WARNING or now - self._said.get(str(record.msg), float("-inf")) > SAY_EVERY_S:
            self._said[str(record.msg)] = now
            return True
        return False


@contextmanager
def _seldom() -> Iterator[None]:
    logger, seldom = logging.getLogger("uvicorn.error"), _Seldom()
    logger.addFilter(seldom)
    try:
        yield
    finally:
        logger.removeFilter(seldom)


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return joined(host, port)
