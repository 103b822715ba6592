"""Secrets are removed from every text, in each form in which a client may show them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from core.errors import ConfigurationError
from core.secrets import forget, hide, hide_address, redacted, without_password


@pytest.fixture(autouse=True)
def _nothing_hidden() -> Iterator[None]:
    forget()
    yield
    forget()


@pytest.mark.parametrize("secret", ["s3cret-word", "pa ss/w@rd", "quote'd\"", "back\\slash", "ümläut%41"])
def test_a_secret_is_removed_in_each_form(secret: str) -> None:
    hide(secret)
    for text in (secret, repr(secret), json.dumps(secret), f"redis://:{secret}@host"):
        assert secret not in redacted(f"no: {text}.")
        assert "***" in redacted(f"no: {text}.")


def test_a_short_one_is_removed_where_it_is_a_word() -> None:
    hide("abc")
    assert redacted("abc, 'abc' and abcd") == "***, '***' and abcd"


def test_an_empty_one_is_none() -> None:
    hide("")
    assert redacted("as it is") == "as it is"


@pytest.mark.parametrize(
    ("address", "left"),
    [
        ("redis://user:s3cret@host:1/0", "redis://***@host:1/0"),
        ("redis://:s3cret@host", "redis://***@host"),
        ("rediss://host:1/0?password=s3cret&db=1", "rediss://host:1/0?password=***&db=1"),
        ("s3://key:s3cret@bucket/lake", "s3://***@bucket/lake"),
        ("http://me:s3cret@proxy:3128", "http://***@proxy:3128"),
    ],
)
def test_addresses_lose_users_and_passwords_though_nobody_hid_them(address: str, left: str) -> None:
    assert redacted(f"{address!r} does not answer") == f"{left!r} does not answer"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("redis://user:s3cret@host:1/0", "redis://host:1/0"),
        ("redis://host:1/0?password=s3cret", "redis://host:1/0?password=***"),
        ("redis://[::1]:1/0", "redis://[::1]:1/0"),
        ("unix:///run/redis.sock?db=1", "unix:///run/redis.sock?db=1"),
    ],
)
def test_an_address_is_shown_without_its_password(address: str, shown: str) -> None:
    assert without_password(address) == shown


@pytest.mark.parametrize("piece", ["s3cr", "et9x", "s3cr/et9x"])
def test_pieces_of_a_password_that_breaks_its_address_are_removed(piece: str) -> None:
    hide_address("redis://user:s3cr/et9x@host:1")
    assert redacted(f"cannot be cast to integer value as '{piece}'") == "cannot be cast to integer value as '***'"


def test_errors_show_none() -> None:
    error = ConfigurationError("no: s3cret-word")
    hide("s3cret-word")
    assert str(error) == "no: ***"
