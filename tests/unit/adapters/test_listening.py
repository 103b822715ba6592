"""Where this machine listens: IPv4, IPv6, names; what cannot be is refused with the setting and what to do."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from adapters.listening import Place, TakenError, joined
from core.errors import ConfigurationError


def place(host: str, port: int = 0) -> Place:
    return Place(host, port, "the API", "FOURFOLD_API")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "[::1]", "localhost", "0.0.0.0", "::"])
def test_an_address_of_this_machine_gets_a_free_port(host: str) -> None:
    assert place(host).free_port() > 0


def test_answers_on_a_kept_connection_are_sent_at_once() -> None:
    with place("127.0.0.1").listener() as listener:
        # by which asyncio knows that it may set TCP_NODELAY
        assert listener.proto == socket.IPPROTO_TCP


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("::1", "http://[::1]:8000"),
        ("[::1]", "http://[::1]:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("my.host", "http://my.host:8000"),
    ],
)
def test_people_get_an_address_that_a_browser_takes(host: str, url: str) -> None:
    assert place(host, 8000).url == url


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("", "is empty"),
        ("no.such.host.invalid", "is no name or address that is known here"),
        ("1.2.3.4.5", "is no name or address that is known here"),
        ("x" * 70, "is no name or address that is known here"),
        ("a..b", "is no name or address that is known here"),
        ("a\0b", "is no name or address that is known here"),
        ("203.0.113.7", "is not an address of this machine"),
        ("2001:db8::7", "is not an address of this machine"),
        ("127.0.0.1:8000", "is more than a host; the port is set by FOURFOLD_API_PORT"),
        ("[::1]:8000", "is more than a host; the port is set by FOURFOLD_API_PORT"),
        ("[::1", "has one bracket alone"),
        ("::1]", "has one bracket alone"),
        ("fe80::1", "lacks the interface that such an address needs, as in fe80::1%eth0"),
        ("http://127.0.0.1", "is more than a host; the port is set by FOURFOLD_API_PORT"),
    ],
)
def test_a_host_that_is_none_is_refused_in_one_line(host: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        place(host).free_port()
    message = str(caught.value)
    assert message.startswith(f"FOURFOLD_API_HOST is {host!r}, which {why}")
    assert message.endswith(": set it to 127.0.0.1, ::1 or another address of this machine")
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_that_is_in_use_is_refused(host: str) -> None:
    with place(host).listener() as taken:
        port = taken.getsockname()[1]
        with pytest.raises(TakenError) as caught:
            place(host, port).free_port()
    assert str(caught.value) == (
        f"the API cannot be served at {joined(host, port)} (that port is in use): set FOURFOLD_API_PORT to another port, "
        "or to 0 for a free one"
    )
    assert place(host, port).free_port() == port


def test_a_port_that_needs_a_right_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(socket.socket, "bind", denied)
    with pytest.raises(
        ConfigurationError, match=r"at \[::1\]:80: ports below 1024 need a right .*FOURFOLD_API_PORT to 1024"
    ):
        place("::1", 80).free_port()
    with pytest.raises(
        ConfigurationError, match=r"127\.0\.0\.1:8000 \(Permission denied\): check FOURFOLD_API_HOST and"
    ):
        place("127.0.0.1", 8000).free_port()


def test_a_machine_without_ipv6_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))

    monkeypatch.setattr(socket.socket, "bind", missing)
    with pytest.raises(ConfigurationError, match=r"\[::1\]:8000 \(Address family not supported"):
        place("::1", 8000).free_port()
