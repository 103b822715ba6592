"""The numbers that decide what counts: epoch length, duplicate horizon, allowed lateness.

Part of a view's identity: a view that was begun under other rules is not continued.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Rules:
    """`epoch_ms` and `lateness_ms` in milliseconds; `horizon` in epochs before the current one.

    `keep_epochs`: how many epochs of speed state are kept, 0 for all of them.
    """

    epoch_ms: int = 30_000
    horizon: int = 1
    lateness_ms: int = 60_000
    keep_epochs: int = 0

    def epoch_of(self, append_ms: int) -> int:
        """The epoch of an append time."""
        return append_ms // self.epoch_ms

    def warm_up_from(self, epoch: int) -> int:
        """The append time in ms from which the duplicate memory of `epoch` is made of."""
        return max(0, (epoch - self.horizon) * self.epoch_ms)

    def encode(self) -> str:
        """What decides counts, as text. `keep_epochs` may change at any time and is not in it."""
        return f"epoch_ms={self.epoch_ms},horizon={self.horizon},lateness_ms={self.lateness_ms}"

    @classmethod
    def decode(cls, text: str) -> Self:
        """The inverse of `encode`. Raises `ValueError`."""
        pairs = (part.split("=", 1) for part in text.split(","))
        try:
            return cls(**{name: int(value) for name, value in pairs})
        except TypeError as error:
            raise ValueError(f"not rules: {text!r}") from error
