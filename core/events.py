"""Names and sizes of topics that every pipeline has beside those of its events."""

from __future__ import annotations

from typing import Final

DEAD_LETTERS: Final = "dead-letters"
#: Dead letters that were put right, and which of them went back into the stream.
REPAIRS: Final = "repairs"
#: The CloudEvents extension by which a repaired event names its original, `topic:partition:offset`.
REDRIVE_OF: Final = "redriveof"
#: The topic of dead letters takes so many bytes at once: a record of the largest usual size (1 MiB)
#: was compressed when it came, and gets headers on top.
DEAD_LETTERS_MAX_BYTES: Final = 16 << 20
