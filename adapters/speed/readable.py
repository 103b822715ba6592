"""Counts that a person reads with `redis-cli HGETALL`: sums of the speed view, with the offsets that they stand for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from adapters.speed.blocks import Block
from adapters.speed.merging import ALL_EPOCHS, place_of
from core.position import PartitionKey

#: Before a partition, in the field of its offset.
_OFFSET: Final = "offset "
#: The sum of all offsets: who has counted less does not overwrite.
COUNTED: Final = "counted"


class PartitionTotals(NamedTuple):
    """Of one partition, at one instant: the packed totals by epoch, the id up to which they stand, the floor."""

    partition: PartitionKey
    totals: Mapping[bytes, bytes]
    merged: bytes
    floor: int


def readable(parts: Sequence[PartitionTotals], measures: tuple[str, ...]) -> dict[str, str]:
    """The fields of the hash: `DIMENSION VALUE` to its measures as JSON, `offset TOPIC:PARTITION` to the next offset.

    Raises:
        CellOverflowError: The partitions together have more than 64 bits hold.
        ValueError: A value is not what a worker writes.
    """
    floor = max((part.floor for part in parts), default=0)
    blocks = [
        Block.unpack(data, measures)
        for part in parts
        for field, data in part.totals.items()
        if field == ALL_EPOCHS.encode() or int(field) >= floor
    ]
    whole = Block.merged(blocks, measures)
    fields = {
        f"{dimension} {value}".rstrip(): json.dumps(dict(zip(measures, sums, strict=True)))
        for (dimension, value), sums in sorted(whole.table.totals().items())
    }
    offsets = {f"{_OFFSET}{part.partition}": place_of(part.merged) for part in parts}
    return fields | {name: str(offset) for name, offset in offsets.items()} | {COUNTED: str(sum(offsets.values()))}
