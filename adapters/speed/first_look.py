"""The first look at a Redis, before a command or a role relies on it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from typing import Any, Final

from redis import Redis, SSLConnection
from redis.exceptions import NoPermissionError

from adapters.speed.redis_server import ServerWatch
from adapters.speed.spoken import asked
from core.errors import ConfigurationError, UnavailableError

_PROBE_S: Final = 2.0


def check_server(client: Redis) -> None:
    """Raises `ConfigurationError` where the server is not what it must be. One that is away passes, and a replica too."""
    try:
        with asked(client):
            ServerWatch().take(_info(client))
    except UnavailableError as error:
        if "closed by server" in str(error).lower() and _speaks_tls(client):
            raise ConfigurationError(
                "FOURFOLD_REDIS says redis://, and the server there wants TLS: use rediss://"
            ) from error
        if issubclass(client.connection_pool.connection_class, SSLConnection) and _speaks_plain(client):
            raise ConfigurationError(
                "FOURFOLD_REDIS says rediss://, and the server there speaks no TLS: use redis://"
            ) from error


def _info(client: Redis) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = client.info()
    except NoPermissionError:
        return {}
    return found


def _speaks_plain(client: Redis) -> bool:
    """Whether a Redis without TLS is at the client's address: it waits for the end of a line, and so for ever."""
    address = client.connection_pool.connection_kwargs
    if "host" not in address:
        return False
    try:
        with socket.create_connection((address["host"], address["port"]), _PROBE_S) as plain:
            plain.settimeout(_PROBE_S)
            plain.sendall(b"PING\r\n")
            return plain.recv(1) in (b"+", b"-")
    except OSError:
        return False


def _speaks_tls(client: Redis) -> bool:
    """Whether TLS is spoken at the client's address."""
    address = client.connection_pool.connection_kwargs
    if "host" not in address:
        return False
    context = ssl.create_default_context()
    # only whether it speaks TLS is asked
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((address["host"], address["port"]), _PROBE_S) as plain,
            context.wrap_socket(plain),
        ):
            return True
    except ssl.SSLError as error:
        # an alert is TLS, too
        return "ALERT" in (error.reason or "")
    except OSError:
        return False
