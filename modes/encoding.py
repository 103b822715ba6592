"""Standard output and error in every locale: what an encoding does not have is written in plain letters."""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata
from typing import Final

HANDLER: Final = "fourfold.plain"
#: As wide as what they stand for, where that has a meaning: columns stay columns.
_PLAIN: Final = {"·": "-", "…": ".", "→": ">", "←": "<", "≈": "~", "±": "+-", "≥": ">=", "€": "EUR"}
_BRAILLE: Final = range(0x2800, 0x2900)


def settle() -> None:
    """Lets both streams take every character, whatever their encoding, and half of a character, too.

    Names of folders may be no UTF-8, and a locale may know ASCII alone.
    """
    codecs.register_error(HANDLER, plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=HANDLER)


def plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """An error handler of codecs: characters that an encoding lacks in letters that it has, all else by number."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_letters(each, error.encoding) for each in error.object[error.start : error.end]), error.end


def _letters(character: str, encoding: str) -> str:
    if character in _PLAIN:
        return _PLAIN[character]
    if ord(character) in _BRAILLE:
        # a moving dot that says that something goes on
        return "."
    bare = unicodedata.normalize("NFKD", character)[0]
    try:
        bare.encode(encoding)
    except UnicodeEncodeError:
        return character.encode("ascii", "backslashreplace").decode()
    return bare
