"""JSON as all engines read it: UTF-8 throughout, bounded depth, the last of two equal names, exact integers."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from core.contract import DEEPEST
from core.verdict import Reason, Rejected

_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
#: A number that no double holds is infinite, which matters only to those who ask for it.
_decode: Final = msgspec.json.Decoder(float_hook=float).decode


def document_of(value: bytes | None) -> Any:
    """What a record's bytes say.

    Integers are of any size, numbers beyond a double are infinite.

    Raises:
        Rejected: Not JSON, for one of the reasons above.
    """
    if value is None:
        raise Rejected(Reason.NOT_JSON, "no value")
    if too_deep(value):
        raise Rejected(Reason.NOT_JSON, f"nested more than {DEEPEST} deep")
    try:
        # what a decoder skips it does not look into
        value.decode()
        return _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Rejected(Reason.NOT_JSON, str(error)) from None


def is_sound(value: bytes) -> bool:
    """Whether what a typed decoder skipped is JSON here too: UTF-8, and not too deep."""
    if not value.isascii():
        try:
            value.decode()
        except UnicodeDecodeError:
            return False
    return not too_deep(value)


def too_deep(value: bytes) -> bool:
    """Whether arrays and objects are nested more than `DEEPEST` deep; strings do not count."""
    # free for most records: deep nesting needs many bytes
    if len(value) < 2 * DEEPEST or value.count(b"[") + value.count(b"{") <= DEEPEST:
        return False
    depth = 0
    for byte in _STRING.sub(b"", value):
        if byte in b"[{":
            depth += 1
            if depth > DEEPEST:
                return True
        elif byte in b"]}":
            depth -= 1
    return False
