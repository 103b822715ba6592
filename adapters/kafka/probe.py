"""What listens at an address: asked below any client, since clients only say that they were cut off."""

from __future__ import annotations

import socket
import struct
from enum import Enum
from typing import Final

from adapters.tls_probe import speaks_tls

#: ApiVersions and SaslHandshake, which a broker answers to whoever has not logged in yet.
_API_VERSIONS: Final = (18, 0)
_SASL_HANDSHAKE: Final = (17, 1)
_CORRELATION: Final = 0x466F7572
_ILLEGAL_SASL_STATE: Final = 34
_LONGEST_ANSWER: Final = 1 << 16


class Listener(Enum):
    """What was found."""

    #: nothing accepts connections, or nothing answers them in time
    SILENT = "silent"
    #: it takes connections and ends them: a broker that is just starting, or a proxy before one that is away
    CLOSES = "closes"
    PLAINTEXT = "PLAINTEXT"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    TLS = "TLS"
    #: it speaks something else
    STRANGE = "strange"


def reachable(host: str, port: int, timeout_s: float) -> OSError | None:
    """Why no connection can be made, None where one can."""
    try:
        socket.create_connection((host, port), timeout_s).close()
    except OSError as error:
        return error
    return None


def listener_at(host: str, port: int, timeout_s: float) -> Listener:
    """What listens there; takes about three times `timeout_s` at most."""
    found = _api_versions(host, port, timeout_s)
    if found is Listener.PLAINTEXT and _wants_sasl(host, port, timeout_s):
        return Listener.SASL_PLAINTEXT
    if found in (Listener.CLOSES, Listener.STRANGE, Listener.SILENT) and speaks_tls(host, port, timeout_s):
        return Listener.TLS
    return found


def _api_versions(host: str, port: int, timeout_s: float) -> Listener:
    try:
        with socket.create_connection((host, port), timeout_s) as connection:
            body = _exchange(connection, _API_VERSIONS, b"")
    except TimeoutError:
        return Listener.SILENT
    except OSError:
        return Listener.CLOSES
    if body is None:
        return Listener.STRANGE
    return Listener.PLAINTEXT if body else Listener.CLOSES


def _wants_sasl(host: str, port: int, timeout_s: float) -> bool:
    try:
        with socket.create_connection((host, port), timeout_s) as connection:
            body = _exchange(connection, _SASL_HANDSHAKE, struct.pack(">h5s", 5, b"PLAIN"))
    except OSError:
        return False
    return body is not None and len(body) > 1 and struct.unpack(">h", body[:2])[0] != _ILLEGAL_SASL_STATE


def _exchange(connection: socket.socket, request: tuple[int, int], body: bytes) -> bytes | None:
    """The body of the answer; empty where there is none, None where it is no answer of a Kafka."""
    head = struct.pack(">hhih", *request, _CORRELATION, -1)
    connection.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
    prefix = _received(connection, 8)
    if not prefix:
        return b""
    if len(prefix) < 8:  # noqa: PLR2004 - two numbers of 4 bytes
        return None
    size, correlation = struct.unpack(">ii", prefix)
    if correlation != _CORRELATION or not 4 < size < _LONGEST_ANSWER:  # noqa: PLR2004 - the correlation id is of it
        return None
    return _received(connection, size - 4)


def _received(connection: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size and (more := connection.recv(size - len(got))):
        got += more
    return got
