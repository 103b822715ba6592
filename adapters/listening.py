"""Addresses on which this machine is to listen: read, bound, shown, and refused in words that name the setting."""

from __future__ import annotations

import errno
import re
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from core.errors import ConfigurationError

#: Lower ones are for the system, and for whoever has a right to them.
FIRST_COMMON_PORT: Final = 1024
_WHOLE: Final = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://|^[^:]*:[0-9]*$|\]:[0-9]*$")
#: Addresses that stand for all of the machine's, and one of them that a browser can go to.
_ALL: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound to


class TakenError(ConfigurationError):
    """Somebody else listens there."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where to listen.

    Attributes:
        host: a name or an address, IPv6 with or without brackets.
        port: 0 for a free one.
        what: is served there, for messages: `the API`.
        prefix: of the settings: `FOURFOLD_API` for `FOURFOLD_API_HOST` and `FOURFOLD_API_PORT`.
    """

    host: str
    port: int
    what: str
    prefix: str

    def resolved(self) -> tuple[socket.AddressFamily, Any]:
        """Family and socket address. Raises `ConfigurationError` for an invalid host."""
        host = self.plain_host
        if not host:
            raise self._no_host("is empty")
        if _WHOLE.search(self.host):
            raise self._no_host(f"is more than a host; the port is set by {self.prefix}_PORT")
        if self.host.startswith("[") != self.host.endswith("]"):
            raise self._no_host("has one bracket alone")
        try:
            found = socket.getaddrinfo(host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except (OSError, ValueError) as error:
            # ValueError: what no name can hold
            why = error.strerror if isinstance(error, OSError) else "no name looks like that"
            raise self._no_host(f"is no name or address that is known here ({why})") from None
        family, _, _, _, address = found[0]
        return family, address

    def refused(self, error: OSError) -> ConfigurationError:
        """Why nothing can listen here, in words."""
        at = joined(self.plain_host, self.port)
        if error.errno == errno.EADDRNOTAVAIL:
            return self._no_host("is not an address of this machine")
        if error.errno == errno.EINVAL and self.plain_host.lower().startswith("fe80:"):
            return self._no_host("lacks the interface that such an address needs, as in fe80::1%eth0")
        if error.errno == errno.EADDRINUSE:
            return TakenError(
                f"{self.what} cannot be served at {at} (that port is in use): set {self.prefix}_PORT to another "
                "port, or to 0 for a free one"
            )
        if error.errno == errno.EACCES and self.port < FIRST_COMMON_PORT:
            return ConfigurationError(
                f"{self.what} cannot be served at {at}: ports below {FIRST_COMMON_PORT} need a right of their own here; set "
                f"{self.prefix}_PORT to {FIRST_COMMON_PORT} or above"
            )
        return ConfigurationError(
            f"{self.what} cannot be served at {at} ({error.strerror}): check {self.prefix}_HOST and {self.prefix}_PORT"
        )

    def listener(self, backlog: int = 1) -> socket.socket:
        """A socket that listens here.

        Raises:
            TakenError: somebody else does.
            ConfigurationError: nothing can, or the host is invalid.
        """
        family, address = self.resolved()
        with ExitStack() as stack:
            try:
                # TCP by name: asyncio lets others wait to send small answers, 40 ms each on a kept connection
                found = stack.enter_context(socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP))
                # a port of a server that has just ended can be taken again
                found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                found.bind(address)
                found.listen(backlog)
            except OSError as error:
                raise self.refused(error) from error
            stack.pop_all()
            return found

    def free_port(self) -> int:
        """The port, where it can be had now; a free one for 0. Raises as `listener`."""
        with self.listener() as probe:
            port: int = probe.getsockname()[1]
            return port

    @property
    def plain_host(self) -> str:
        """The host without brackets."""
        return self.host.removeprefix("[").removesuffix("]")

    @property
    def near_host(self) -> str:
        """A host at which this machine itself finds it."""
        return _ALL.get(self.plain_host, self.plain_host)

    @property
    def url(self) -> str:
        """Where a browser of this machine finds it."""
        return f"http://{joined(self.near_host, self.port)}"

    def _no_host(self, why: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self.prefix}_HOST is {self.host!r}, which {why}: set it to 127.0.0.1, ::1 or another address of this machine"
        )


def joined(host: str, port: int) -> str:
    """`host:port`, with brackets where the host is an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
