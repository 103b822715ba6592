"""Counts that a person reads with `redis-cli HGETALL`: sums of the speed view, with the offsets that they stand for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from operator import add
from typing import Final, NamedTuple

from adapters.speed.blocks import Block
from adapters.speed.merging import ALL_EPOCHS, place_of
from core.position import PartitionKey

#: Before a partition, in the field of its offset.
_OFFSET: Final = "offset "
#: The sum of all offsets.
_COUNTED: Final = "counted"


class PartitionTotals(NamedTuple):
    """Of one partition, at one instant: the packed totals by epoch, the id up to which they stand, the floor."""

    partition: PartitionKey
    totals: Mapping[bytes, bytes]
    merged: bytes
    floor: int


def readable(parts: Sequence[PartitionTotals], measures: tuple[str, ...]) -> dict[str, str]:
    """The fields of the hash: `DIMENSION VALUE` to its measures as JSON, `offset TOPIC:PARTITION` to the next offset.

    Raises:
        ValueError: A value is not what a worker writes.
    """
    floor = max((part.floor for part in parts), default=0)
    whole: dict[tuple[str, str], list[int]] = {}
    for part in parts:
        for field, data in part.totals.items():
            if field == ALL_EPOCHS.encode() or int(field) >= floor:
                for key, sums in Block.unpack(data, measures).table.totals().items():
                    held = whole.get(key)
                    whole[key] = list(sums) if held is None else list(map(add, held, sums))
    fields = {
        f"{dimension} {value}" if value else dimension: json.dumps(dict(zip(measures, sums, strict=True)))
        for (dimension, value), sums in sorted(whole.items())
    }
    offsets = {f"{_OFFSET}{part.partition}": place_of(part.merged) for part in parts}
    return fields | {name: str(offset) for name, offset in offsets.items()} | {_COUNTED: str(sum(offsets.values()))}
