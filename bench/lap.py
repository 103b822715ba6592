"""A lap: what one piece of work took, measured in the process that did it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from adapters.effort import effort_of


@dataclass(frozen=True, slots=True)
class Lap:
    """Wall seconds, and CPU seconds with those of children that have ended.

    `counters`: what a contender that has no view of its own counted.
    """

    seconds: float
    cpu_s: float
    counters: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, work: Callable[[], Mapping[str, int]]) -> Self:
        """Does the work, which returns the counters."""
        effort, counters = effort_of(work)
        return cls(*effort, counters)

    def write(self, path: Path) -> None:
        """Writes it as JSON."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Self:
        """The inverse of `write`."""
        return cls(**json.loads(path.read_text()))
