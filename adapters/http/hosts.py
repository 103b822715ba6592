"""Which hosts a server answers to.

A page of another origin may give its own name the address of this machine (DNS rebinding): to the browser, what
answers there is of the page's origin, and the page may read it. Only the header `Host` tells.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

from core.errors import ConfigurationError

#: As a setting: every name is allowed.
ANY: Final = "*"
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_AUTHORITY: Final = re.compile(r"(?:\[(?P<six>[0-9a-z.:%_-]+)\]|(?P<name>[a-z0-9._-]+))(?::[0-9]{0,5})?", re.ASCII)
#: An IPv4 address in any of the forms that clients take: 127.0.0.1, 127.1, 0x7f000001.
_NUMBERS: Final = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+)){0,3}", re.ASCII)
_LONGEST_NAME: Final = 253
_SHOWN: Final = 80


class Refusal(NamedTuple):
    """Why a request is not answered. `detail`: one line for people."""

    status: HTTPStatus
    detail: str


class AllowedHosts:
    """Judges the header `Host` of requests.

    Always allowed: `localhost`, the names of this machine, and every IP address, since rebinding takes a name.
    """

    def __init__(self, names: Iterable[str] = (), bound: Iterable[str] = ()) -> None:
        """Reads this machine's name.

        Args:
            names: Further ones; `*.example.com` allows all below `example.com`, `*` allows all.
            bound: What servers are told to listen at; names among them are allowed.

        Raises:
            ConfigurationError: One of `names` is not the name of a host.
        """
        wanted = [_checked(name) for name in names]
        wanted += [name.lower() for name in bound if _NAME.fullmatch(name.lower())]
        self._any = ANY in wanted
        self._endings = tuple(name[1:] for name in wanted if name.startswith("*."))
        self._names = {"localhost", *_names_of_this_machine(), *wanted}

    def refusal(self, hosts: Sequence[str]) -> Refusal | None:
        """Why a request with these `Host` headers is refused; None where it is not."""
        if len(hosts) != 1 or not hosts[0].strip():
            what = "several headers Host" if len(hosts) > 1 else "no header Host"
            return Refusal(HTTPStatus.BAD_REQUEST, f"the request has {what}: send one, as curl and browsers do")
        given = hosts[0].strip()
        parts = _AUTHORITY.fullmatch(given.lower())
        six = parts and parts["six"]
        if parts is None or (six and not _is_ip(six)):
            return Refusal(HTTPStatus.BAD_REQUEST, f"the header Host is {_shown(given)}: a host and a port are needed")
        if six or self._knows(parts["name"].removesuffix(".")):
            return None
        return Refusal(
            HTTPStatus.MISDIRECTED_REQUEST,
            f"the host {_shown(given)} is unknown here: ask for localhost or an IP address, "
            "or add the name to FOURFOLD_API_HOSTS",
        )

    def _knows(self, name: str) -> bool:
        return (
            self._any
            or name in self._names
            or bool(name and self._endings and name.endswith(self._endings) and not name.startswith("."))
            or _is_ip(name)
        )


def host_names(setting: str) -> tuple[str, ...]:
    """The names of a comma-separated setting. Raises `ConfigurationError` for an invalid one."""
    return tuple(_checked(part) for part in setting.split(",") if part.strip())


def _checked(name: str) -> str:
    if name.strip() == ANY:
        return ANY
    plain = name.strip().lower().removesuffix(".")
    known = plain.removeprefix("*.")
    if len(known) <= _LONGEST_NAME and (_NAME.fullmatch(known) or _is_ip(known.strip("[]"))):
        return plain
    raise ConfigurationError(
        f"{_shown(name)} is not the name of a host: names are needed, separated by commas, without scheme, port "
        "and path, as metrics.example.com, *.example.com, or * for all"
    )


def _names_of_this_machine() -> set[str]:
    name = socket.gethostname().lower().removesuffix(".")
    short = name.partition(".")[0]
    # the last one by mDNS
    return {name, short, f"{short}.local"} if short else set()


def _is_ip(text: str) -> bool:
    if _NUMBERS.fullmatch(text):
        return True
    try:
        ipaddress.ip_address(text.replace("%25", "%", 1))
    except ValueError:
        return False
    return True


def _shown(host: str) -> str:
    """A host as a message has it, whatever it is: ASCII, on one line, of bounded length."""
    return ascii(host if len(host) <= _SHOWN else f"{host[:_SHOWN]}…")
