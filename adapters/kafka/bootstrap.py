"""Kafka's address as a person writes it, and as every client reads it the same."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from core.errors import ConfigurationError

_EXAMPLE: Final = "write host:port, more than one separated by commas: kafka-1:9092,kafka-2:9092"
_SCHEME: Final = re.compile(r"^([A-Za-z][A-Za-z0-9_+.-]*)://(.*)$", re.ASCII)
_NAME: Final = re.compile(
    r"^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$"
)
_IPV6: Final = re.compile(r"^[0-9A-Fa-f:.]+$")
_LONGEST_NAME: Final = 255
_LAST_PORT: Final = 65_535


def parse_bootstrap(text: str, protocol: str) -> tuple[tuple[str, int], ...]:
    """Hosts (without brackets) and ports, each once, in their order.

    Spaces around addresses, a comma at the end and a scheme that says nothing else than `protocol` are
    taken away. Raises `ConfigurationError` for anything that some client would read in another way.
    """
    found = [_address(part.strip(), protocol) for part in text.split(",") if part.strip()]
    if not found:
        raise ConfigurationError(f"FOURFOLD_KAFKA is {text!r}, which has no address in it: {_EXAMPLE}")
    return tuple(dict.fromkeys(found))


def _address(text: str, protocol: str) -> tuple[str, int]:
    rest = _without_scheme(text, protocol)
    if "@" in rest:
        # not shown: it may hold a password
        raise ConfigurationError(
            "FOURFOLD_KAFKA has a user name in it (the sign @): take it out, and set FOURFOLD_KAFKA_USERNAME "
            "and FOURFOLD_KAFKA_PASSWORD"
        )
    bracketed = rest.startswith("[")
    host, colon, port = rest[1:].partition("]") if bracketed else rest.rpartition(":")
    if bracketed:
        colon, port = port[:1], port[1:]
    if not bracketed and not colon:
        raise _refused(text, f"has no port: write {rest}:9092")
    if not bracketed and ":" in host:
        known = _IPV6.match(host)
        raise _refused(
            text,
            "reads as an IPv6 address: write it in brackets, [::1]:9092" if known else f"is no address: {_EXAMPLE}",
        )
    if bracketed and colon != ":":
        raise _refused(text, "has no port behind its brackets: write [::1]:9092")
    return _host(host, text, bracketed=bracketed), _port(port, text)


def _without_scheme(text: str, protocol: str) -> str:
    matched = _SCHEME.match(text)
    if matched is None:
        return text
    scheme, rest = matched[1].upper(), matched[2]
    if scheme not in ("KAFKA", protocol):
        if scheme in ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"):
            raise ConfigurationError(
                f"FOURFOLD_KAFKA says {scheme}:// and FOURFOLD_KAFKA_PROTOCOL is {protocol}: take the scheme away, "
                f"and set FOURFOLD_KAFKA_PROTOCOL={scheme} if that is right"
            )
        raise ConfigurationError(f"FOURFOLD_KAFKA says {matched[1]}://, which is no address of a Kafka: {_EXAMPLE}")
    return rest.removesuffix("/")


def _host(host: str, text: str, *, bracketed: bool) -> str:
    if bracketed:
        try:
            return str(ipaddress.IPv6Address(host))
        except ValueError:
            raise _refused(text, "has no IPv6 address in its brackets: write [::1]:9092") from None
    if not host.isascii():
        raise _refused(text, "has letters that no host name has: write its ASCII form (xn--...)")
    if not host:
        raise _refused(text, f"has no host: {_EXAMPLE}")
    if not _NAME.match(host) or len(host) > _LONGEST_NAME:
        raise _refused(text, f"has no host name before its port: {_EXAMPLE}")
    return host


def _port(port: str, text: str) -> int:
    if not (port.isascii() and port.isdigit() and len(port) <= len(str(_LAST_PORT)) and 0 < int(port) <= _LAST_PORT):
        raise _refused(text, f"has no port between 1 and {_LAST_PORT} at its end: {_EXAMPLE}")
    return int(port)


def _refused(text: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"FOURFOLD_KAFKA has the address {text!r}, which {why}")
