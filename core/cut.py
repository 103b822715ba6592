"""The cut: where the batch view ends and the speed view begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.position import PartitionKey


@dataclass(frozen=True, slots=True)
class Cut:
    """Every record below `vector` has an epoch below `epoch`, every other one has not.

    `vector`: the next offset of each partition. Epochs as in `core.rules`.
    """

    epoch: int
    vector: Mapping[PartitionKey, int]


def cut_epoch(now_ms: int, margin_ms: int, epoch_ms: int) -> int:
    """The newest epoch that a cut may have at the broker's time `now_ms`.

    The margin covers clocks of several brokers that differ; epochs below the cut are over by it.
    """
    return (now_ms - margin_ms) // epoch_ms
