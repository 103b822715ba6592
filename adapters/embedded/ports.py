"""Free ports on the loopback interface."""

from __future__ import annotations

import socket
import zlib
from collections.abc import Container, Iterator
from itertools import islice
from typing import Final

import psutil

from core.errors import UnavailableError

HOST: Final = "127.0.0.1"
#: Below the range from which systems give ports to outgoing connections: a client that keeps trying to reconnect to a
#: stopped server could otherwise be given the server's own port, and then block it.
FIRST_PORT: Final = 20_000
LAST_PORT: Final = 29_999


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        # As servers do: connections of a former run in TIME_WAIT do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def accepts(port: int, bound_s: float) -> bool:
    """Whether something listens on this port of 127.0.0.1."""
    try:
        with socket.create_connection((HOST, port), timeout=bound_s):
            return True
    except OSError:
        return False


def free_ports(count: int, seed: str, avoid: Container[int] = ()) -> tuple[int, ...]:
    """`count` free ports, the same for the same seed as long as nobody else takes them.

    Raises UnavailableError if there are not that many.
    """
    usable = (port for port in _candidates(seed) if port not in avoid and is_free(port))
    found = tuple(islice(usable, count))
    if len(found) < count:
        raise UnavailableError(
            f"fewer than {count} ports of {HOST} between {FIRST_PORT} and {LAST_PORT} are free; end what uses them"
        )
    return found


def user_of(port: int) -> str:
    """Who listens on a port, for a message: 'nginx (pid 12)', or 'another process' if the system does not say."""
    try:
        for connection in psutil.net_connections("tcp"):
            if (
                connection.status == psutil.CONN_LISTEN
                and connection.laddr
                and connection.laddr.port == port
                and connection.pid
            ):
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        return "another process"
    return "another process"


def _candidates(seed: str) -> Iterator[int]:
    size = LAST_PORT - FIRST_PORT + 1
    first = zlib.crc32(seed.encode())
    return (FIRST_PORT + (first + step) % size for step in range(size))
