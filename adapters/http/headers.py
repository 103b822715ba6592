"""Headers of every answer of every HTTP server of the product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: What is no page needs nothing from anywhere, and is no part of another page.
NOTHING: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

#: An answer that says something else in one of these headers keeps it.
SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": NOTHING,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # numbers of now: files and pages, which change with the version alone, say otherwise
    "Cache-Control": "no-store",
}


def head_lines(headers: Mapping[str, str]) -> bytes:
    """Headers as they go over the wire, each line with its end."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("ascii")
