"""Goals: what a figure ought to be, beside what it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Goal:
    """`kind`: whether the figure shall be at least or at most `bound`."""

    name: str
    figure: float
    kind: Literal["at least", "at most"]
    bound: float
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether it is reached."""
        return self.figure >= self.bound if self.kind == "at least" else self.figure <= self.bound
