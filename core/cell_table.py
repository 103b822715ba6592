"""Cells in columns: what many cells are added up in, sent in and stored in, at a few bytes each."""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise, repeat
from operator import add
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from core.cells import LARGEST, Cell, CellKey, CellOverflowError, Cells
from core.rollup import DAY, HOUR

Ints = npt.NDArray[np.int64]
NarrowInts = npt.NDArray[np.int32] | Ints

SMALLEST: Final = -LARGEST - 1
#: How many places there may be for each key where keys are told apart without sorting them.
_PLACES: Final = 16
#: Rows that Python has added up before NumPy has begun.
_FEW: Final = 64
#: Up to how many rows it is quicker to sort them than to have a place for each key.
_SORTED: Final = 512
_HALF: Final = 32
_LOW: Final = 2**_HALF - 1

_MAGIC: Final = b"FCT\x01"
#: The magic, the CRC-32 of all that follows it, and whether the rest is compressed.
_HEAD: Final = struct.Struct("<4sIB")
_CHECKED_FROM: Final = 8
_COMPRESSED_ABOVE: Final = 1_024
#: By number of bytes: how a column is written. One without any bytes is all zero.
_WIDTHS: Final = {1: "<u1", 2: "<u2", 4: "<u4", 8: "<i8"}


def largest(sums: NarrowInts) -> int:
    """The largest absolute number in an array; 0 where there is none."""
    return max(int(sums.max(initial=0)), -int(sums.min(initial=0)))


def grouped(keys: Ints) -> tuple[Ints, Ints]:
    """The distinct keys in rising order, and by key its place among them."""
    if not len(keys):
        return keys, keys
    first = int(keys.min())
    places = int(keys.max()) - first + 1
    if places > _PLACES * len(keys):
        distinct, groups = np.unique(keys, return_inverse=True)
        return distinct, groups
    offsets = keys - first
    there = np.zeros(places, np.bool_)
    there[offsets] = True
    distinct = there.nonzero()[0]
    numbers = np.empty(places, np.int64)
    numbers[distinct] = np.arange(len(distinct))
    return distinct + first, numbers[offsets]


def group_sums(groups: Ints, sums: Ints, size: int, overflow: Callable[[int, int], CellOverflowError]) -> Ints:
    """The sums of each group, measure by measure.

    Args:
        groups: By row: the number of its group, below `size`.
        sums: By measure and row.
        size: How many groups there are.
        overflow: Makes the error for a group and a measure.

    Raises:
        CellOverflowError: A sum does not fit in 64 bits.
    """
    if _fit(groups, sums):
        return _added(groups, sums, size)
    high, low = _halves(groups, sums, size)
    outside = (high >> (_HALF - 1) != 0) & (high >> (_HALF - 1) != -1)
    if outside.any():
        measure, group = np.argwhere(outside)[0].tolist()
        raise overflow(group, measure)
    return (high << _HALF) | low


def exact_sums(groups: Ints, sums: Ints, size: int) -> tuple[list[int], list[Cell]]:
    """The groups that have rows, and their sums, however large."""
    there = np.zeros(size, np.bool_)
    there[groups] = True
    distinct = there.nonzero()[0]
    if _fit(groups, sums):
        rows = _added(groups, sums, size)[:, distinct].T.tolist()
    else:
        high, low = _halves(groups, sums, size)
        rows = (high[:, distinct].astype(object) * 2**_HALF + low[:, distinct]).T.tolist()
    return distinct.tolist(), list(map(Cell, rows))


def _fit(groups: Ints, sums: Ints) -> bool:
    """Whether 64 bits are sure to hold the sums of groups."""
    number = largest(sums)
    return number * len(groups) <= LARGEST or number * int(np.bincount(groups).max()) <= LARGEST


def _added(groups: Ints, sums: Ints, size: int) -> Ints:
    out = np.zeros((len(sums), size), np.int64)
    for total, column in zip(out, sums, strict=True):
        np.add.at(total, groups, column)
    return out


def _halves(groups: Ints, sums: Ints, size: int) -> tuple[Ints, Ints]:
    """Sums as multiples of 2^32 and the rest: neither can pass 64 bits for less than 2^31 rows."""
    low = _added(groups, sums & _LOW, size)
    return _added(groups, sums >> _HALF, size) + (low >> _HALF), low & _LOW


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The cells of one dimension, by minute and then by value; no two have the same key.

    Attributes:
        values: The distinct values.
        columns: Minutes, value ids (places in `values`), and the sums of each measure.
    """

    values: tuple[str, ...]
    columns: Ints

    @property
    def minutes(self) -> Ints:
        """By row."""
        minutes: Ints = self.columns[0]
        return minutes

    @property
    def value_ids(self) -> Ints:
        """By row: the place of its value in `values`."""
        ids: Ints = self.columns[1]
        return ids

    @property
    def sums(self) -> Ints:
        """By measure and row."""
        return self.columns[2:]

    def __len__(self) -> int:
        return len(self.minutes)

    @property
    def names(self) -> Iterator[str]:
        """By row: its value."""
        return map(self.values.__getitem__, self.value_ids.tolist())

    def totals(self, start: int = 0, end: int | None = None) -> Iterator[tuple[str, Cell]]:
        """The values in the rows from `start` to `end`, and their sums, however large."""
        found, cells = exact_sums(self.value_ids[start:end], self.sums[:, start:end], len(self.values))
        return zip(map(self.values.__getitem__, found), cells, strict=True)


class CellTable:
    """Cells in columns. Immutable; what it is made of must not be changed either."""

    __slots__ = ("dimensions", "measures")

    def __init__(self, measures: tuple[str, ...], dimensions: Mapping[str, Rows]) -> None:
        """`measures`: their names, in the order of every cell. `dimensions`: the rows of each one that has any."""
        self.measures = measures
        self.dimensions = dimensions

    @classmethod
    def empty(cls, measures: tuple[str, ...]) -> Self:
        """No cells."""
        return cls(measures, {})

    @classmethod
    def of_rows(
        cls,
        measures: tuple[str, ...],
        rows: Mapping[str, tuple[Sequence[int], Sequence[str], Sequence[Sequence[int]]]],
    ) -> Self:
        """The cells of these rows; rows of one key are added up.

        Args:
            measures: Their names.
            rows: By dimension: minutes, values, and for each measure its numbers, all of one length.

        Raises:
            CellOverflowError: A minute, a number or a sum does not fit in 64 bits.
            ValueError: Lengths differ.
        """
        out = {}
        for dimension, (minutes, values, sums) in rows.items():
            if len(sums) != len(measures) or {len(minutes), len(values), *map(len, sums)} != {len(minutes)}:
                raise ValueError(f"the columns of {dimension} are not as long, or as many, as they should be")
            if not len(minutes):
                continue
            known: dict[str, int] = {}
            ids = [known.setdefault(value, len(known)) for value in values]
            make = _summed_few if len(minutes) <= _FEW else _summed_many
            out[dimension] = make(measures, dimension, tuple(known), (minutes, ids, *sums))
        return cls(measures, out)

    @classmethod
    def of_cells(cls, measures: tuple[str, ...], cells: Mapping[CellKey, Cell]) -> Self:
        """These cells. Raises `CellOverflowError` for what does not fit in 64 bits."""
        rows: dict[str, tuple[list[int], list[str], list[Cell]]] = {}
        for (minute, dimension, value), cell in cells.items():
            minutes, values, sums = rows.setdefault(dimension, ([], [], []))
            minutes.append(minute)
            values.append(value)
            sums.append(cell)
        return cls.of_rows(
            measures,
            {
                dimension: (minutes, values, list(zip(*sums, strict=True)))
                for dimension, (minutes, values, sums) in rows.items()
            },
        )

    @classmethod
    def merged(cls, tables: Sequence[CellTable]) -> Self:
        """The sum of tables, without the cells in which nothing is left.

        Raises:
            CellOverflowError: A sum does not fit in 64 bits.
            ValueError: There are no tables, or their measures differ.
        """
        if len({table.measures for table in tables}) != 1:
            raise ValueError("only tables of the same measures can be added, and at least one")
        measures = tables[0].measures
        parts: dict[str, list[Rows]] = {}
        for table in tables:
            for dimension, rows in table.dimensions.items():
                parts.setdefault(dimension, []).append(rows)
        out = {}
        for dimension, many in parts.items():
            rows = _without_zeros(many[0] if len(many) == 1 else _united(measures, dimension, many))
            if len(rows):
                out[dimension] = rows
        return cls(measures, out)

    def rolled(self, hours_below: int, days_below: int) -> CellTable:
        """The same counts by coarser minutes.

        Args:
            hours_below: Minutes below it become the first of their hour.
            days_below: Minutes below it become the first of their day.

        Raises:
            CellOverflowError: A sum, or the first minute of an hour or a day, does not fit in 64 bits.
        """
        out = {}
        for dimension, rows in self.dimensions.items():
            first = int(rows.minutes[0])
            width = DAY if first < days_below else HOUR if first < hours_below else 1
            if first // width * width < SMALLEST:
                raise CellOverflowError.at(CellKey(first, dimension, next(rows.names)), "minute")
            columns = rows.columns.copy()
            minutes = columns[0]
            minutes -= np.where(minutes < hours_below, minutes % HOUR, 0)
            minutes -= np.where(rows.minutes < days_below, minutes % DAY, 0)
            out[dimension] = _summed(self.measures, dimension, rows.values, columns)
        return CellTable(self.measures, out)

    def summed(self) -> CellTable:
        """The sums over all minutes, as cells of minute 0. Raises `CellOverflowError`."""
        out = {}
        for dimension, rows in self.dimensions.items():
            columns = rows.columns.copy()
            columns[0] = 0
            out[dimension] = _summed(self.measures, dimension, rows.values, columns)
        return CellTable(self.measures, out)

    def pack(self) -> bytes:
        """The table as bytes, the same on every machine."""
        parts = [_texts(self.measures), _texts(self.dimensions)]
        for rows in self.dimensions.values():
            columns = rows.columns.copy()
            columns[:2, 1:] -= rows.columns[:2, :-1]
            columns[0, 0] = 0
            # most values come right after that of the row before
            columns[1, 1:] -= 1
            columns[1] %= len(rows.values)
            parts += (_texts(rows.values), struct.pack("<Iq", len(rows), rows.minutes[0]), *_columns(columns))
        body = b"".join(parts)
        compressed = zlib.compress(body, 1) if len(body) > _COMPRESSED_ABOVE else body
        small = len(compressed) < len(body)
        packed = bytearray(_HEAD.pack(_MAGIC, 0, small) + (compressed if small else body))
        struct.pack_into("<I", packed, len(_MAGIC), zlib.crc32(memoryview(packed)[_CHECKED_FROM:]))
        return bytes(packed)

    @classmethod
    def unpack(cls, data: bytes, measures: tuple[str, ...] | None = None) -> Self:
        """The table that was packed.

        Args:
            data: What `pack` gave.
            measures: The measures that the table shall have, in their order; those that were not packed
                are zero. None: those that were packed.

        Raises:
            ValueError: It is no packed table, it is damaged, or it has a measure that is not among `measures`.
        """
        body = _Body(_checked(data))
        packed = body.texts()
        measures = packed if measures is None else measures
        unknown = [name for name in packed if name not in measures]
        if unknown:
            raise ValueError(f"a packed table has unknown measures: {', '.join(unknown)}")
        places = [measures.index(name) for name in packed]
        dimensions = {dimension: body.rows(len(measures), places) for dimension in body.texts()}
        if body.left:
            raise ValueError("a packed table is longer than it should be")
        return cls(measures, dimensions)

    def totals(self) -> dict[tuple[str, str], tuple[int, ...]]:
        """Sums over all minutes by (dimension, value), however large."""
        return {
            (dimension, value): cell for dimension, rows in self.dimensions.items() for value, cell in rows.totals()
        }

    def cells(self) -> Cells:
        """The cells by their keys."""
        out: Cells = {}
        for dimension, rows in self.dimensions.items():
            keys = map(CellKey, rows.minutes.tolist(), repeat(dimension), rows.names)
            out.update(zip(keys, map(Cell, rows.sums.T.tolist()), strict=True))
        return out

    def distinct_minutes(self) -> set[int]:
        """The minutes that have cells."""
        return {minute for rows in self.dimensions.values() for minute in np.unique(rows.minutes).tolist()}

    def __len__(self) -> int:
        return sum(map(len, self.dimensions.values()))


def _place(rows: Rows, minute: int) -> int:
    return bisect_left(rows.minutes, minute)


def _whole(
    measures: tuple[str, ...],
    dimension: str,
    values: tuple[str, ...],
    columns: Sequence[Sequence[int]],
) -> Ints:
    count = len(columns[0])
    pack = struct.Struct(f"={count}q").pack
    try:
        data = b"".join([pack(*column) for column in columns])
    except struct.error:
        raise _refusal(measures, dimension, values, columns) from None
    return np.frombuffer(data, np.int64).reshape(len(columns), count)


def _refusal(
    measures: tuple[str, ...],
    dimension: str,
    values: tuple[str, ...],
    columns: Sequence[Sequence[int]],
) -> Exception:
    minutes, ids, *sums = columns
    name, minute, place, number = next(
        (name, minute, place, number)
        for name, column in (("minute", minutes), *zip(measures, sums, strict=True))
        for minute, place, number in zip(minutes, ids, column, strict=True)
        if not isinstance(number, int | np.integer) or not SMALLEST <= number <= LARGEST
    )
    if isinstance(number, int | np.integer):
        return CellOverflowError.at(CellKey(minute, dimension, values[place]), name)
    return TypeError(f"{name} of {dimension} is no integer: {number!r}")


def _summed_few(
    measures: tuple[str, ...],
    dimension: str,
    values: tuple[str, ...],
    columns: Sequence[Sequence[int]],
) -> Rows:
    """What `_summed_many` gives, quicker for a few rows."""
    rows = sorted(zip(*columns, strict=True))
    if len(set(zip(*columns[:2], strict=True))) < len(rows):
        # a sum may fit where what it is made of does not
        _whole(measures, dimension, values, columns)
        cells: dict[tuple[int, ...], tuple[int, ...]] = {}
        for row in rows:
            key = row[:2]
            old = cells.get(key)
            cells[key] = row if old is None else (*key, *map(add, old[2:], row[2:]))
        rows = list(cells.values())
    return Rows(values, _whole(measures, dimension, values, list(zip(*rows, strict=True))))


def _summed_many(
    measures: tuple[str, ...],
    dimension: str,
    values: tuple[str, ...],
    columns: Sequence[Sequence[int]],
) -> Rows:
    return _summed(measures, dimension, values, _whole(measures, dimension, values, columns))


def _summed(
    measures: tuple[str, ...],
    dimension: str,
    values: tuple[str, ...],
    columns: Ints,
) -> Rows:
    def overflow(group: int, measure: int) -> CellOverflowError:
        key = CellKey(int(minutes[group]), dimension, values[ids[group]])
        return CellOverflowError.at(key, measures[measure])

    minutes, ids = columns[:2]
    count = len(minutes)
    if count <= _SORTED or (int(minutes.max()) - int(minutes.min()) + 1) * len(values) > LARGEST:
        columns = columns.take(np.lexsort((ids, minutes)), axis=1)
        changes = (columns[:2, 1:] != columns[:2, :-1]).any(axis=0)
        starts = np.zeros(np.count_nonzero(changes) + 1, np.int64)
        if len(starts) == count:
            return Rows(values, columns)
        starts[1:] = changes.nonzero()[0] + 1
        out = columns.take(starts, axis=1)
        if largest(columns[2:]) * count <= LARGEST:
            out[2:] = np.add.reduceat(columns[2:], starts, axis=1)
        else:
            minutes, ids = out[:2]
            groups = np.concatenate(([0], changes.cumsum()))
            out[2:] = group_sums(groups, columns[2:], len(starts), overflow)
        return Rows(values, out)
    first = int(minutes.min())
    keys, groups = grouped((minutes - first) * len(values) + ids)
    minutes, ids = np.divmod(keys, len(values))
    minutes += first
    return Rows(values, np.vstack((minutes, ids, group_sums(groups, columns[2:], len(keys), overflow))))


def _united(measures: tuple[str, ...], dimension: str, parts: Sequence[Rows]) -> Rows:
    known: dict[str, int] = {}
    columns = np.concatenate([rows.columns for rows in parts], axis=1)
    end = 0
    for rows in parts:
        places = np.array([known.setdefault(value, len(known)) for value in rows.values], np.int64)
        end += len(rows)
        columns[1, end - len(rows) : end] = places[rows.value_ids]
    return _summed(measures, dimension, tuple(known), columns)


def _without_zeros(rows: Rows) -> Rows:
    kept = rows.sums.any(axis=0)
    if kept.all():
        return rows
    columns = rows.columns[:, kept]
    used, columns[1] = np.unique(columns[1], return_inverse=True)
    return Rows(tuple(rows.values[place] for place in used.tolist()), columns)


def _columns(columns: Ints) -> Iterator[bytes]:
    highest = columns.max(axis=1, initial=0).tolist()
    for column, low, high in zip(columns, columns.min(axis=1, initial=0).tolist(), highest, strict=True):
        bits = 64 if low < 0 else high.bit_length()
        width = next(width for width in _WIDTHS if width * 8 >= bits)
        yield bytes([width]) + column.astype(_WIDTHS[width]).tobytes() if bits else b"\0"


def _texts(texts: Iterable[str]) -> bytes:
    texts = list(texts)
    # a text may have half a surrogate pair: JSON can write one
    data = "".join(texts).encode("utf-8", "surrogatepass")
    lengths = np.array([[len(text) for text in texts]], np.int64)
    return b"".join((struct.pack("<II", len(texts), len(data)), *_columns(lengths), data))


def _checked(data: bytes) -> bytes:
    """The body of a packed table. Raises `ValueError` where it is not as it was packed."""
    if len(data) < _HEAD.size:
        raise ValueError("a packed table is shorter than its head")
    magic, crc, compressed = _HEAD.unpack_from(data)
    if magic != _MAGIC:
        raise ValueError("this is no packed table, or one of another version")
    if crc != zlib.crc32(memoryview(data)[_CHECKED_FROM:]) or compressed > 1:
        raise ValueError("a packed table is damaged")
    body = data[_HEAD.size :]
    try:
        return zlib.decompress(body) if compressed else body
    except zlib.error as error:
        raise ValueError(f"a packed table is damaged: {error}") from error


class _Body:
    """Reads the body of a packed table from its beginning. Whatever does not fit is a `ValueError`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """How many bytes were not read."""
        return len(self._data) - self._at

    def texts(self) -> tuple[str, ...]:
        count, size = struct.unpack("<II", self._take(8))
        # at most one of them is empty: they differ
        if count > size + 1:
            raise ValueError("a packed table has more texts than there is room for")
        lengths = self._column(count)
        text = self._take(size).decode("utf-8", "surrogatepass")
        if lengths.min(initial=0) < 0 or lengths.max(initial=0) > len(text) or lengths.sum() != len(text):
            raise ValueError("texts of a packed table have other lengths than it says")
        ends = accumulate(lengths.tolist(), initial=0)
        out = tuple(text[start:end] for start, end in pairwise(ends))
        if len(set(out)) != count:
            raise ValueError("a packed table has one text twice")
        return out

    def rows(self, measures: int, places: Sequence[int]) -> Rows:
        """The rows of a dimension; `places`: by packed measure its place among the `measures`."""
        values = self.texts()
        count, first = struct.unpack("<Iq", self._take(12))
        # all of one minute, or its minutes take a byte each
        if not 0 < count <= max(len(values), self.left):
            raise ValueError("a packed table has more rows than there is room for")
        if not values:
            raise ValueError("a packed table has rows without values")
        columns = np.zeros((2 + measures, count), np.int64)
        for place in (0, 1, *(2 + place for place in places)):
            columns[place] = self._column(count)
        columns[0, 0] = first
        columns[1, 1:] += 1
        np.cumsum(columns[:2], axis=1, out=columns[:2])
        columns[1] %= len(values)
        minutes, ids = columns[:2]
        if not np.where(ids[1:] > ids[:-1], minutes[1:] >= minutes[:-1], minutes[1:] > minutes[:-1]).all():
            raise ValueError("rows of a packed table are not in order")
        return Rows(values, columns)

    def _take(self, size: int) -> bytes:
        if size > self.left:
            raise ValueError("a packed table is shorter than it should be")
        self._at += size
        return self._data[self._at - size : self._at]

    def _column(self, count: int) -> Ints:
        width = self._take(1)[0]
        if not width:
            return np.zeros(count, np.int64)
        if width not in _WIDTHS:
            raise ValueError(f"a packed table has columns of {width} bytes")
        return np.frombuffer(self._take(count * width), _WIDTHS[width]).astype(np.int64)
