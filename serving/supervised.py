"""Processes and servers as whoever supervises them tells of them: `name`, `state`, `reason`, `log`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

#: Parts of an architecture that are processes.
PARTS: Final = ("produce", "process", "batch", "serve", "kafka", "redis")
#: States that are no fault.
_WELL: Final = ("running", "done", "new")


def part_of(process: Mapping[str, Any]) -> str:
    """The part that a process belongs to: `process-2` is one of `process`."""
    name = str(process["name"])
    return next((part for part in PARTS if name == part or name.startswith(f"{part}-")), name)


def not_well(processes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those that do not run and ought to."""
    return [process for process in processes if process["state"] not in _WELL]
