"""What a step adds, as bytes: cells in columns with quality counters, and the users of each minute.

Bytes for Redis, which keeps them in a log until they are merged into blocks (`adapters.speed.blocks`).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from core.cells import LARGEST, CellKey, CellOverflowError
from core.delta import Delta
from core.sketch import hashes_of

#: Smaller ones are not compressed: it would cost more than it saves.
_COMPRESSED_FROM: Final = 1_000
_PLAIN, _COMPRESSED = b"p", b"z"


class Columns(msgspec.Struct, array_like=True):
    """Cells of one dimension: `sums` has a column for each measure of the pipeline, an empty one where all are zero."""

    dimension: str
    minutes: list[int]
    values: list[str]
    sums: list[list[int]]


class EpochCells(msgspec.Struct, array_like=True):
    """What is added in one epoch."""

    epoch: int
    counters: dict[str, int]
    columns: list[Columns]


class EpochUsers(msgspec.Struct, array_like=True):
    """Packed hashes (`core.sketch`) of the users of each minute of one epoch."""

    epoch: int
    minutes: list[int]
    hashes: list[bytes]


class Packed(NamedTuple):
    """`cells` and `users` are empty where there is nothing to add. `largest`: the most that a cell or counter changes by."""

    cells: bytes
    users: bytes
    largest: int


_encode: Final = msgspec.msgpack.Encoder().encode
_decode_cells: Final = msgspec.msgpack.Decoder(list[EpochCells]).decode
_decode_users: Final = msgspec.msgpack.Decoder(list[EpochUsers]).decode


def packed(delta: Delta, measures: Sequence[str]) -> Packed:
    """Packs what a delta adds.

    Args:
        delta: Condensed.
        measures: Of the pipeline, in declared order.

    Raises:
        CellOverflowError: A sum passes 64 bits.
    """
    if not delta.minutes and not delta.quality:
        return Packed(b"", b"", 0)
    largest = 0
    epochs: dict[int, tuple[dict[str, Columns], EpochUsers]] = {}
    for (epoch, minute), events in delta.minutes.items():
        found = epochs.get(epoch)
        if found is None:
            found = epochs[epoch] = ({}, EpochUsers(epoch, [], []))
        for dimension, values, sums in events.columns():
            most = _largest(sums)
            if most > LARGEST:
                raise _overflow(minute, dimension, values, sums, measures)
            largest = max(largest, most)
            _extend(found[0], dimension, minute, values, sums)
        if users := events.users:
            found[1].minutes.append(minute)
            found[1].hashes.append(hashes_of(users))
    for counters in delta.quality.values():
        largest = max(largest, *counters.values(), 0)
    cells = [
        EpochCells(
            epoch, dict(delta.quality.get(epoch, {})), list(epochs[epoch][0].values()) if epoch in epochs else []
        )
        for epoch in sorted(epochs.keys() | delta.quality.keys())
    ]
    by_minute = [users for _, users in epochs.values() if users.minutes]
    return Packed(_compressed(_encode(cells)), _encode(by_minute) if by_minute else b"", largest)


def cells_of(data: bytes) -> list[EpochCells]:
    """The inverse of `packed` for cells. Raises `ValueError` for anything else."""
    if not data:
        return []
    kind, body = data[:1], data[1:]
    try:
        if kind == _COMPRESSED:
            body = zlib.decompress(body)
        elif kind != _PLAIN:
            raise ValueError(f"an increment begins with {kind!r}")
        return _decode_cells(body)
    except (zlib.error, msgspec.MsgspecError) as error:
        raise ValueError(f"no increment: {error}") from error


def users_of(data: bytes) -> list[EpochUsers]:
    """The inverse of `packed` for users. Raises `ValueError` for anything else."""
    if not data:
        return []
    try:
        return _decode_users(data)
    except msgspec.MsgspecError as error:
        raise ValueError(f"no users of an increment: {error}") from error


def _extend(
    columns: dict[str, Columns], dimension: str, minute: int, values: list[str], sums: Sequence[Sequence[int]]
) -> None:
    there = columns.get(dimension)
    if there is None:
        columns[dimension] = Columns(dimension, [minute] * len(values), list(values), [list(column) for column in sums])
        return
    before = len(there.values)
    there.minutes += [minute] * len(values)
    there.values += values
    for column, more in zip(there.sums, sums, strict=True):
        if column or more:
            # one of them may be empty, which stands for zeros
            column.extend([0] * (before - len(column)))
            column.extend(more or [0] * len(values))


def _largest(sums: Sequence[Sequence[int]]) -> int:
    return max((abs(edge) for column in sums if column for edge in (min(column), max(column))), default=0)


def _overflow(
    minute: int, dimension: str, values: Sequence[str], sums: Sequence[Sequence[int]], measures: Sequence[str]
) -> CellOverflowError:
    for measure, column in zip(measures, sums, strict=True):
        for value, number in zip(values, column, strict=False):
            if abs(number) > LARGEST:
                return CellOverflowError.at(CellKey(minute, dimension, value), measure)
    raise AssertionError("no sum passes 64 bits")


def _compressed(data: bytes) -> bytes:
    if len(data) < _COMPRESSED_FROM:
        return _PLAIN + data
    return _COMPRESSED + zlib.compress(data, 1)


Rows = dict[str, tuple[list[int], list[str], list[list[int]]]]


def rows_of(columns: Sequence[Columns]) -> Mapping[str, Any]:
    """The rows of columns by dimension, as `core.cell_table.CellTable.of_rows` takes them: empty columns filled up."""
    rows: Rows = {}
    for each in columns:
        count = len(each.values)
        sums = [column or [0] * count for column in each.sums]
        if each.dimension not in rows:
            rows[each.dimension] = (each.minutes, each.values, sums)
            continue
        minutes, values, there = rows[each.dimension]
        rows[each.dimension] = (
            [*minutes, *each.minutes],
            [*values, *each.values],
            [[*one, *other] for one, other in zip(there, sums, strict=True)],
        )
    return rows
