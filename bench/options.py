"""Options: what is measured, and how much of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PARTS: Final = ("catch-up", "freshness", "producer", "batch", "api", "replay", "memory", "growth")
#: The last two take many minutes: only where asked for.
DEFAULT_PARTS: Final = PARTS[:-2]
CONTENDERS: Final = ("shipped", "stock", "bare", "two")


@dataclass(frozen=True, slots=True)
class Options:
    """Sizes in events, rates in events a second, times in seconds."""

    parts: Sequence[str] = DEFAULT_PARTS
    contenders: Sequence[str] = CONTENDERS
    events: int = 1_000_000
    stock_events: int = 80_000
    #: on a busy machine the stock agent would take very long
    stock_s: float = 30.0
    repeat: int = 3
    rates: Sequence[float] = (5000.0, 50.0)
    freshness_s: float = 30.0
    producer_s: float = 15.0
    replay_events: int = 2_000_000
    memory_events: int = 10_000_000
    memory_rate: float = 50_000.0
    growth_cells: Sequence[int] = (100_000, 500_000, 1_000_000, 5_000_000)
    growth_products: int = 5_000
    growth_keys: Sequence[int] = (50, 5_000, 50_000)
    growth_events: int = 500_000
    seed: int = 7
    json_file: Path | None = None
    keep: bool = False
