"""Blocks: what was added in a range of epochs, merged into one packed value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

import msgspec

from adapters.speed.increments import Columns, cells_of, rows_of, users_of
from core.cell_table import CellTable
from core.rollup import Grain
from core.sketch import Sketch

#: A block's rows at most, where blocks of several epochs are merged: a larger value would hold up Redis.
LARGEST_ROWS: Final = 500_000


class BlockName(NamedTuple):
    """Says what a block holds, so that it need not be read to know.

    `first`, `last`: epochs, both included. `number`: of the merge that made it, so that no two blocks ever have the same
    name. `fine`, `hourly`: the oldest minute that is kept as such, and the oldest hour; 0 for none.
    """

    first: int
    last: int
    number: int
    rows: int
    fine: int = 0
    hourly: int = 0

    def __str__(self) -> str:
        return ":".join(map(str, self))

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of `str`. Raises `ValueError`."""
        numbers = [int(part) for part in text.split(":")]
        if len(numbers) != len(cls._fields):
            raise ValueError(f"no name of a block: {text!r}")
        return cls(*numbers)


class _Wire(msgspec.Struct, array_like=True):
    counters: dict[int, dict[str, int]]
    table: bytes
    minutes: list[int]
    users: list[bytes]


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Wire).decode


@dataclass(slots=True)
class Block:
    """Cells, users by minute, and quality counters by epoch."""

    table: CellTable
    users: dict[int, Sketch] = field(default_factory=dict)
    counters: dict[int, Counter[str]] = field(default_factory=dict)

    def pack(self) -> bytes:
        """As bytes."""
        minutes = sorted(self.users)
        return _encode(
            _Wire(
                {epoch: dict(found) for epoch, found in sorted(self.counters.items())},
                self.table.pack(),
                minutes,
                [self.users[minute].pack() for minute in minutes],
            )
        )

    @classmethod
    def unpack(cls, data: bytes, measures: tuple[str, ...]) -> Self:
        """The inverse of `pack`. Raises `ValueError` for anything else."""
        try:
            wire = _decode(data)
        except msgspec.MsgspecError as error:
            raise ValueError(f"no block: {error}") from error
        users = dict(zip(wire.minutes, map(Sketch.unpack, wire.users), strict=True))
        counters = {epoch: Counter(found) for epoch, found in wire.counters.items()}
        return cls(CellTable.unpack(wire.table, measures), users, counters)

    @classmethod
    def merged(cls, blocks: Sequence[Block], measures: tuple[str, ...]) -> Self:
        """The sum of blocks. Raises `CellOverflowError`."""
        users: dict[int, Sketch] = {}
        counters: dict[int, Counter[str]] = {}
        for block in blocks:
            for minute, sketch in block.users.items():
                if minute not in users:
                    users[minute] = Sketch()
                users[minute].merge(sketch)
            for epoch, found in block.counters.items():
                counters.setdefault(epoch, Counter()).update(found)
        tables = [block.table for block in blocks]
        return cls(CellTable.merged(tables) if tables else CellTable.empty(measures), users, counters)

    def rolled(self, grain: Grain) -> Block:
        """The same by coarser minutes. Raises `CellOverflowError`."""
        users: dict[int, Sketch] = {}
        for minute, sketch in self.users.items():
            users.setdefault(grain.start(minute), Sketch()).merge(sketch)
        return Block(self.table.rolled(*grain), users, self.counters)

    def oldest(self, grain: Grain) -> tuple[int, int]:
        """The oldest minute that is kept as such after `rolled`, and the oldest hour; 0 for none."""
        minutes = self.table.distinct_minutes() | self.users.keys()
        fine = min((minute for minute in minutes if minute >= grain.hours_below), default=0)
        hourly = min((minute for minute in minutes if grain.days_below <= minute < grain.hours_below), default=0)
        return fine, hourly

    def totals(self) -> Block:
        """Its sums over all minutes, as the block of minute 0, without users."""
        return Block(self.table.summed(), {}, {epoch: Counter(found) for epoch, found in self.counters.items()})


def gather_old(counters: dict[int, Counter[str]], recent: int) -> None:
    """All but the `recent` newest epochs' counters become one entry, under the oldest epoch."""
    oldest, *others = sorted(counters)[:-recent] or [0]
    for epoch in others:
        counters[oldest].update(counters.pop(epoch))


def block_of_entries(entries: Iterable[Mapping[bytes, bytes]], measures: tuple[str, ...]) -> dict[int, Block]:
    """Epoch to what entries of a log add there. Raises `ValueError` for anything else."""
    columns: dict[int, list[Columns]] = {}
    counters: dict[int, Counter[str]] = {}
    hashes: dict[int, dict[int, list[bytes]]] = {}
    for entry in entries:
        for cells in cells_of(entry.get(b"c", b"")):
            columns.setdefault(cells.epoch, []).extend(cells.columns)
            counters.setdefault(cells.epoch, Counter()).update(cells.counters)
        for added in users_of(entry.get(b"u", b"")):
            by_minute = hashes.setdefault(added.epoch, {})
            for minute, packed in zip(added.minutes, added.hashes, strict=True):
                by_minute.setdefault(minute, []).append(packed)
    blocks: dict[int, Block] = {}
    for epoch in columns.keys() | hashes.keys():
        users = {minute: _sketch(parts) for minute, parts in hashes.get(epoch, {}).items()}
        epoch_counters = {epoch: counters[epoch]} if counters.get(epoch) else {}
        blocks[epoch] = Block(CellTable.of_rows(measures, rows_of(columns.get(epoch, []))), users, epoch_counters)
    return blocks


def _sketch(parts: list[bytes]) -> Sketch:
    sketch = Sketch()
    sketch.add(b"".join(parts))
    return sketch
