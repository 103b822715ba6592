"""Secrets: what no message, log line or traceback may show. The one place that knows and removes them."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote

#: What is shown in a secret's place.
HIDDEN: Final = "***"
#: A shorter secret is removed only where it is a whole word: it may be part of any other.
_SHORT: Final = 6
_USER: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^\s/?#@'\"]+@")
_QUERY: Final = re.compile(
    r"([?&](?:password|passwd|pwd|secret|token|sasl_plain_password)=)[^&#\s'\")]+", re.IGNORECASE
)
#: Where a client that cannot read an address cuts it, and shows a piece.
_CUTS: Final = re.compile(r"[/?#,:@\[\]]")

_known: set[str] = set()


def hide(*secrets: str) -> None:
    """Removes these values from now on from all that `redacted` is given. Empty ones are left out."""
    for secret in filter(None, secrets):
        plain = unquote(secret)
        _known.update(
            form for each in (secret, plain) for form in (each, quote(each, safe=""), repr(each)[1:-1], _in_json(each))
        )
    _pattern.cache_clear()


def hide_address(address: str) -> None:
    """Hides the password in an address, also where the address is written in a way that no client can read."""
    rest = address.partition("://")[2] or address
    user, at, _ = rest.rpartition("@")
    password = user.partition(":")[2]
    if at:
        hide(password, *(part for part in _CUTS.split(password) if len(part) > 1))
    for found in _QUERY.finditer(address):
        hide(found[0].removeprefix(found[1]))


def redacted(text: str) -> str:
    """The text without hidden values, and without users and passwords of addresses."""
    pattern = _pattern()
    if pattern is not None:
        text = pattern.sub(HIDDEN, text)
    return _QUERY.sub(rf"\1{HIDDEN}", _USER.sub(rf"\1{HIDDEN}@", text))


def without_password(address: str) -> str:
    """An address without user and password, for people and for `--json`: all else stays as it is."""
    scheme, divider, rest = address.partition("://")
    if not divider:
        return address.rpartition("@")[2]
    return _QUERY.sub(rf"\1{HIDDEN}", f"{scheme}://{rest.rpartition('@')[2]}")


def forget() -> None:
    """Hides nothing any more: for tests, whose secrets are others each time."""
    _known.clear()
    _pattern.cache_clear()


def _in_json(text: str) -> str:
    return json.dumps(text)[1:-1]


@lru_cache(maxsize=1)
def _pattern() -> re.Pattern[str] | None:
    # the longest first: one may be the beginning of another
    parts = [
        re.escape(secret) if len(secret) >= _SHORT else rf"(?<!\w){re.escape(secret)}(?!\w)"
        for secret in sorted(_known, key=len, reverse=True)
    ]
    return re.compile("|".join(parts)) if parts else None
