"""Names of settings, as people misspell them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Final

from serving.harmless import safe

PREFIX: Final = "FOURFOLD_"
#: What docker-compose.yml reads, and nothing else.
COMPOSE_ONLY: Final = frozenset(
    {"FOURFOLD_PUBLISHED_KAFKA_PORT", "FOURFOLD_PUBLISHED_REDIS_PORT", "FOURFOLD_PUBLISHED_API_PORT"}
)
#: What our own processes and tests tell one another.
_INTERNAL: Final = ("FOURFOLD_OWNER", "FOURFOLD_BOUNDARY_SECONDS", "FOURFOLD_REPLAY_SECONDS")
_INTERNAL_PREFIXES: Final = ("FOURFOLD_TEST_", "FOURFOLD_CHAOS_")
#: How alike two names must be: to be meant for sure, where the prefix itself is misspelt, and to be worth a guess.
_SURE, _WHOLE, _GUESS = 0.8, 0.87, 0.6
_WIDTH: Final = 60


def misspelt(names: Iterable[str], settings: Collection[str]) -> dict[str, str]:
    """Names that look like a setting and are not, each with what is wrong with it.

    Args:
        names: of variables, as they are written.
        settings: all names of settings, with their prefix.
    """
    known = {*settings, *COMPOSE_ONLY}
    return {name: _words(name, known) for name in names if _is_meant(name, known)}


def _is_meant(name: str, known: Collection[str]) -> bool:
    upper = name.upper()
    if upper in known or upper in _INTERNAL or upper.startswith(_INTERNAL_PREFIXES):
        return False
    return PREFIX in upper or bool(get_close_matches(upper, known, 1, _WHOLE))


def _words(name: str, known: Collection[str]) -> str:
    near = _nearest(name.upper(), known)
    guess = f"; did you mean {near}?" if near else ", see .env.example for their names"
    return f"{safe(name, _WIDTH)} is not a setting{guess}"


def _nearest(name: str, known: Collection[str]) -> str:
    if not name.startswith(PREFIX):
        return next(iter(get_close_matches(name, known, 1, _GUESS)), "")
    # without what all have in common
    word = name.removeprefix(PREFIX)
    words = [each.removeprefix(PREFIX) for each in known]
    wholes = sorted((each for each in words if word.startswith(f"{each}_")), key=len, reverse=True)
    found = get_close_matches(word, words, 1, _SURE) or wholes or get_close_matches(word, words, 1, _GUESS)
    return PREFIX + found[0] if found else ""
