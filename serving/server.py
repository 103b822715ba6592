"""The server of the API: uvicorn on one socket, until it is told to stop."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from fastapi import FastAPI

from core.errors import ConfigurationError

#: Requests that are at work have so many seconds when the server stops.
_GRACE_S: Final = 1


def serve(
    api: FastAPI,
    host: str,
    port: int,
    *,
    stop: threading.Event,
    bound: Callable[[str], None],
    closing: Callable[[], None],
) -> None:
    """Serves until `stop` is set (by a signal handler of the caller, or another thread).

    `port` 0 takes a free one. `bound` is given the address, `host:port`, before the first request;
    `closing` is called first when the server stops: what open streams wait for must end by it.
    Raises `ConfigurationError` where the address cannot be bound.
    """
    with _listening(host, port) as listener:
        config = uvicorn.Config(
            api,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
        bound(_address(listener))
        _Server(config, stop, closing).run([listener])


class _Server(uvicorn.Server):
    """Leaves signals to the caller."""

    def __init__(self, config: uvicorn.Config, stop: threading.Event, closing: Callable[[], None]) -> None:
        super().__init__(config)
        self._stop = stop
        self._closing = closing

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """No signals are captured."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Asked ten times a second whether to stop."""
        return await super().on_tick(counter) or self._stop.is_set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends streams, then waits for what is at work."""
        self._closing()
        await super().shutdown(sockets)


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _refusal(host, port, error) from error
    with listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError as error:
            raise _refusal(host, port, error) from error
        yield listener


def _refusal(host: str, port: int, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"the API cannot be served at {host}:{port} ({error.strerror}): set FOURFOLD_API_PORT to another port, "
        "or to 0 for a free one (FOURFOLD_API_HOST: to an address of this machine)"
    )


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if listener.family == socket.AF_INET6 else f"{host}:{port}"
