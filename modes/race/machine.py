"""The machine and the versions that a result was measured with."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

import psutil

_PACKAGES: Final = ("fourfold", "faust-streaming", "aiokafka", "msgspec", "redis", "hiredis", "confluent-kafka")


@dataclass(frozen=True, slots=True)
class Machine:
    """`load`: the average of the last minute before the measurement; near 0 where it is quiet."""

    cores: int
    memory_gb: float
    system: str
    python: str
    load: float
    packages: dict[str, str]


def this_machine() -> Machine:
    """This one, now."""
    return Machine(
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        load=round(os.getloadavg()[0], 2),
        packages={name: version(name) for name in _PACKAGES},
    )
