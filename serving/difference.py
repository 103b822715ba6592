"""A number of a view that is not the true one."""

from __future__ import annotations

from dataclasses import dataclass

from core.cells import MINUTE_MS, CellKey
from core.rfc3339 import to_text
from serving.harmless import safe


@dataclass(frozen=True, slots=True)
class Difference:
    """Where it is, what the view says, and what is true."""

    where: str
    measure: str
    view: int
    truth: int

    def __str__(self) -> str:
        return f"{safe(self.where, 120)} {safe(self.measure)}: view {self.view:,}, truth {self.truth:,}"


def name_of(key: CellKey) -> str:
    """A cell's name for people."""
    value = f" {key.value!r}" if key.value else ""
    return f"{to_text(key.minute * MINUTE_MS)[:16]} {key.dimension}{value}"
