"""How busy the machine is: a bound in seconds is that of a machine that has nothing else to do."""

from __future__ import annotations

import os
from typing import Final

#: What this many processes that want to run do to one another is no reason for patience.
BUSY_LOAD: Final = 1.5 * (os.cpu_count() or 1)


def allowed(bound_s: float, load: float | None = None) -> float:
    """The bound on a machine with this load, by default the load now.

    On a machine that others keep busy everything takes longer by as much.
    """
    return bound_s * max(1.0, (os.getloadavg()[0] if load is None else load) / BUSY_LOAD)
