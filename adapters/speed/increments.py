"""What a step adds, as bytes: cells in columns with quality counters, and the users of each minute.

Bytes for Redis, which keeps them in a log until they are merged into blocks (`adapters.speed.blocks`).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from core.cells import LARGEST, CellKey, CellOverflowError
from core.delta import Delta
from core.kernel.aggregate import Columns as Added
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
    """`cells` and `users` are empty where there is nothing to add. `largest`: the most that a total or counter changes by."""

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
    if not delta:
        return Packed(b"", b"", 0)
    changes: dict[tuple[str, int], int] = {}
    epochs: dict[int, dict[str, Columns]] = {epoch: {} for epoch in delta.quality}
    for epoch, added in delta.columns():
        most = _largest(added.sums)
        if most > LARGEST:
            raise _overflow(added, measures)
        for place, column in enumerate(added.sums):
            if column:
                change = sum(column) if min(column) >= 0 else sum(map(abs, column))
                changes[added.dimension, place] = changes.get((added.dimension, place), 0) + change
        _extend(epochs.setdefault(epoch, {}), added)
    users: dict[int, EpochUsers] = {}
    for epoch, minute, found in delta.users():
        held = users.setdefault(epoch, EpochUsers(epoch, [], []))
        held.minutes.append(minute)
        held.hashes.append(hashes_of(found))
    largest = max(changes.values(), default=0)
    for counters in delta.quality.values():
        largest = max(largest, *counters.values())
    cells = [
        EpochCells(epoch, dict(delta.quality.get(epoch, {})), list(columns.values()))
        for epoch, columns in sorted(epochs.items())
    ]
    return Packed(_compressed(_encode(cells)), _encode(list(users.values())) if users else b"", largest)


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


def _extend(columns: dict[str, Columns], added: Added) -> None:
    there = columns.get(added.dimension)
    if there is None:
        columns[added.dimension] = Columns(
            added.dimension, list(added.minutes), list(added.values), [list(column) for column in added.sums]
        )
        return
    before, more = len(there.values), len(added.values)
    there.minutes += added.minutes
    there.values += added.values
    for column, numbers in zip(there.sums, added.sums, strict=True):
        if column or numbers:
            # one of them may be empty, which stands for zeros
            column.extend([0] * (before - len(column)))
            column.extend(numbers or [0] * more)


def _largest(sums: Sequence[Sequence[int]]) -> int:
    return max((abs(edge) for column in sums if column for edge in (min(column), max(column))), default=0)


def _overflow(added: Added, measures: Sequence[str]) -> CellOverflowError:
    for measure, column in zip(measures, added.sums, strict=True):
        for minute, value, number in zip(added.minutes, added.values, column, strict=False):
            if abs(number) > LARGEST:
                return CellOverflowError.at(CellKey(minute, added.dimension, value), measure)
    raise AssertionError("no sum passes 64 bits")


def _compressed(data: bytes) -> bytes:
    if len(data) < _COMPRESSED_FROM:
        return _PLAIN + data
    return _COMPRESSED + zlib.compress(data, 1)


Rows = dict[str, tuple[list[int], list[str], list[list[int]]]]


def rows_of(columns: Sequence[Columns]) -> Rows:
    """The rows of columns by dimension, as `core.cell_table.CellTable.of_rows` takes them: empty columns filled up."""
    rows: Rows = {}
    for each in columns:
        minutes, values, sums = rows.setdefault(each.dimension, ([], [], [[] for _ in each.sums]))
        minutes += each.minutes
        values += each.values
        for column, numbers in zip(sums, each.sums, strict=True):
            column.extend(numbers or [0] * len(each.values))
    return rows
