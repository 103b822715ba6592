"""Where a number comes from: the provenance of an answer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from adapters.speed.port import Snapshot
from core.position import PartitionKey
from core.rfc3339 import to_text
from modes.settings import Settings

LOGIC = "v1"


def provenance(settings: Settings, snapshot: Snapshot, ends: Mapping[PartitionKey, int] | None) -> dict[str, Any]:
    """`ends`: the end of each partition's log, None where Kafka is away. Ages in seconds."""
    vector = snapshot.vector
    positions = snapshot.positions.values()
    appended = max((p.appended_ms for p in positions), default=0)
    newest = [p.newest_ms for p in positions if p.newest_ms]
    rules = settings.rules
    lag = None
    if ends is not None:
        lag = {str(s): max(0, end - vector.get(s, 0)) for s, end in sorted(ends.items())}
    return {
        "mode": settings.mode,
        "logic": LOGIC,
        "namespace": settings.namespace,
        "batch_version": None,
        "cut": None,
        "offsets": {str(source): offset for source, offset in sorted(vector.items())},
        "watermark": to_text(min(newest) - rules.lateness_ms) if newest else None,
        "since": to_text(snapshot.floor * rules.epoch_ms) if snapshot.floor else None,
        "lag": lag,
        "lag_events": None if lag is None else sum(lag.values()),
        "lost": sum(p.lost for p in positions),
        "age_s": round(max(0.0, time.time() - appended / 1000), 3) if appended else None,
    }
