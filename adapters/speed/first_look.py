"""The first look at a Redis, before a command or a role relies on it."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any, Final

from redis import Redis, SSLConnection
from redis.exceptions import NoPermissionError

from adapters.speed.redis_server import ServerWatch
from adapters.speed.spoken import asked
from adapters.tls_probe import speaks_tls
from core.errors import ConfigurationError, UnavailableError

_PROBE_S: Final = 2.0


def check_server(client: Redis) -> None:
    """Raises `ConfigurationError` where the server is not what it must be. One that is away passes, and a replica too."""
    try:
        with asked(client):
            ServerWatch().take(_info(client))
    except UnavailableError as error:
        address = client.connection_pool.connection_kwargs
        if "host" not in address:
            # a socket of this machine
            return
        host, port = address["host"], address["port"]
        if "closed by server" in str(error).lower() and speaks_tls(host, port, _PROBE_S):
            raise ConfigurationError(
                "FOURFOLD_REDIS says redis://, and the server there wants TLS: use rediss://"
            ) from error
        if issubclass(client.connection_pool.connection_class, SSLConnection) and _speaks_plain(host, port):
            raise ConfigurationError(
                "FOURFOLD_REDIS says rediss://, and the server there speaks no TLS: use redis://"
            ) from error


def _info(client: Redis) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = client.info()
    except NoPermissionError:
        return {}
    return found


def _speaks_plain(host: str, port: int) -> bool:
    """Whether a Redis without TLS is there: of a TLS greeting it waits for the end of a line, and so for ever."""
    try:
        with socket.create_connection((host, port), _PROBE_S) as plain:
            plain.settimeout(_PROBE_S)
            plain.sendall(b"PING\r\n")
            return plain.recv(1) in (b"+", b"-")
    except OSError:
        return False
