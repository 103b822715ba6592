"""Hosts: rebinding takes a name, so a name must be known and an address need not."""

from __future__ import annotations

import socket

import pytest

from adapters.http.hosts import AllowedHosts, host_names
from core.errors import ConfigurationError

HOSTS = AllowedHosts(host_names("metrics.example.com, *.corp.example,Process."), ("api.internal", "0.0.0.0", "::1"))


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST:8000", "localhost.", "localhost.:8000", "localhost:", " localhost "),
        *("127.0.0.1", "127.0.0.1:8000", "127.9.9.9:1", "192.168.1.4:8000", "8.8.8.8", "127.0.0.1."),
        *("127.1", "2130706433", "0x7f.1", "0"),
        *("[::1]", "[::1]:8000", "[0:0:0:0:0:0:0:1]:80", "[fe80::1%25eth0]:9100", "[::ffff:127.0.0.1]"),
        *("metrics.example.com:443", "a.corp.example", "A.b.Corp.Example:1", "process:9100", "api.internal"),
        socket.gethostname(),
        f"{socket.gethostname().upper()}:8000",
    ],
)
def test_a_known_name_and_any_address_are_answered(host: str) -> None:
    assert HOSTS.refusal([host]) is None


@pytest.mark.parametrize(
    "host",
    [
        *("rebind.example:8000", "localhost.evil.example", "evil-localhost", "localhost.localhost", "xlocalhost"),
        *("127.0.0.1.evil.example", "127.0.0.1.nip.io", "1.2.3.4.5", "0x7f.evil", "localhost..", "."),
        *("corp.example", "evilcorp.example", ".corp.example", "example.com", "metrics.example.com.evil.example"),
        *("batch:9100", "metrics.example.comx", "xn--localhost-9f", "local_host"),
    ],
)
def test_any_other_name_is_misdirected(host: str) -> None:
    refusal = HOSTS.refusal([host])
    assert refusal is not None
    assert refusal.status == 421
    assert "FOURFOLD_API_HOSTS" in refusal.detail


@pytest.mark.parametrize(
    "hosts",
    [
        *([], [""], ["  "], ["localhost", "localhost"], ["localhost", "evil.example"]),
        *(["localhost:80:80"], ["localhost:http"], ["localhost:-1"], ["localhost:123456"], [":8000"]),
        *(["user@localhost"], ["localhost/evil"], ["http://localhost"], ["localhost evil.example"], ["localhost,evil"]),
        *(
            ["::1"],
            ["[::1"],
            ["[::1]x"],
            ["[evil.example]"],
            ["[127.0.0.1]x"],
            ["[]"],
            ["löcalhost"],
            ["localhost\x00"],
        ),
        ["x" * 100_000 + "!"],
    ],
)
def test_what_is_no_host_is_a_bad_request_in_one_short_line(hosts: list[str]) -> None:
    refusal = HOSTS.refusal(hosts)
    assert refusal is not None
    assert refusal.status == 400
    assert refusal.detail.isascii()
    assert refusal.detail.isprintable()
    assert len(refusal.detail) < 600


def test_all_names_may_be_allowed_and_what_is_none_is_not() -> None:
    everybody = AllowedHosts(["*"])
    assert everybody.refusal(["evil.example:80"]) is None
    assert everybody.refusal(["a", "b"]) is not None


@pytest.mark.parametrize(
    "setting", ["http://a", "a:8000", "a/b", "a b", "*.*", "a*.example", "..", "é.example", "x" * 64, "*."]
)
def test_a_setting_that_names_no_host_is_refused(setting: str) -> None:
    with pytest.raises(ConfigurationError, match="not the name of a host"):
        host_names(f"localhost,{setting}")


def test_gaps_in_the_setting_are_nothing() -> None:
    assert host_names(" , a ,,B.") == ("a", "b")
    assert host_names("") == ()
