"""Text from events as a terminal may show it."""

from __future__ import annotations

import unicodedata


def harmless(text: str) -> str:
    """Text from an event without what a terminal could obey.

    Characters of the categories C* (control, format, surrogate, private) and those that end a line
    or a paragraph become `·`.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join("·" if unicodedata.category(c).startswith(("C", "Zl", "Zp")) else c for c in text)


def safe(text: str, width: int = 40) -> str:
    """Harmless text of no more than `width` characters."""
    shown = harmless(text[: width + 1])
    return shown if len(shown) <= width else shown[: width - 1] + "…"
