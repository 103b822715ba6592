"""What a server holds of cells: many, changed often by a few, and summed over any span of minutes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise, repeat
from operator import or_
from typing import Final

import numpy as np

from core.cell_table import (
    SMALLEST,
    CellTable,
    Ints,
    NarrowInts,
    Rows,
    exact_sums,
    group_sums,
    grouped,
    largest,
)
from core.cells import LARGEST, Cell, CellKey, CellOverflowError, Cells
from core.rollup import DAY, HOUR

#: A key is a value id and a minute of the hour, in its last bits.
_MINUTE_BITS: Final = 6
_MINUTE: Final = 2**_MINUTE_BITS - 1
_DAY_HOURS: Final = DAY // HOUR
#: Runs of an hour that may wait to be added up.
_WAITING: Final = 8
#: A run stays as it is beside runs that have fewer rows than its rows divided by this; sums are held where they have
#: no more.
_PART: Final = 4
_LARGEST_32: Final = 2**31 - 1


def _narrow(sums: NarrowInts) -> NarrowInts:
    return sums.astype(np.int32) if largest(sums) <= _LARGEST_32 else sums


class _Run:
    """Cells of one dimension and hour, by key. Immutable."""

    __slots__ = ("_minutes", "_totals", "keys", "largest", "signed", "sums")

    def __init__(self, keys: Ints, sums: NarrowInts) -> None:
        self.keys = keys
        self.sums = _narrow(sums)
        self.largest = largest(sums)
        self.signed = bool(sums.min(initial=0) < 0)
        self._minutes: int | None = None
        self._totals: tuple[Ints, NarrowInts] | None = None

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def minutes(self) -> int:
        """A bit for each minute of the hour that has cells."""
        if self._minutes is None:
            self._minutes = int(np.bitwise_or.reduce(np.int64(1) << (self.keys & _MINUTE)))
        return self._minutes

    def totals(self) -> tuple[Ints, NarrowInts]:
        """Value ids and sums over the hour. Held where they are much smaller than the run."""
        if self._totals is not None:
            return self._totals
        ids = self.keys >> _MINUTE_BITS
        if self.largest * HOUR > LARGEST:
            return ids, self.sums
        starts = np.concatenate(([0], (ids[1:] != ids[:-1]).nonzero()[0] + 1))
        if len(starts) * _PART > len(ids):
            return ids, self.sums
        sums = np.add.reduceat(self.sums, starts, axis=1, dtype=np.int64)
        self._totals = ids[starts], _narrow(sums)
        return self._totals

    def between(self, first: int, end: int) -> tuple[Ints, NarrowInts]:
        """Value ids and sums of the minutes of the hour from `first` to `end` (excluded); an id may come again."""
        if not self.minutes & ~((1 << end) - (1 << first)):
            return self.totals()
        minutes = self.keys & _MINUTE
        chosen = ((minutes >= first) & (minutes < end)).nonzero()[0]
        return self.keys[chosen] >> _MINUTE_BITS, self.sums.take(chosen, axis=1)

    def series(self, value_id: int, first: int, end: int) -> Iterator[tuple[int, Cell]]:
        """Minutes of the hour from `first` to `end` (excluded), and the cells of one value there."""
        wanted = np.array((first, end)) + (value_id << _MINUTE_BITS)
        span = slice(*self.keys.searchsorted(wanted))
        return zip((self.keys[span] & _MINUTE).tolist(), map(Cell, self.sums[:, span].T.tolist()), strict=True)


@dataclass(slots=True)
class _Hour:
    """The cells of one dimension and hour: the sum of its runs."""

    runs: tuple[_Run, ...]


@dataclass(slots=True)
class _Dimension:
    """What all hours of a dimension share. Its values are only added to, so that views of any time may have it."""

    measures: tuple[str, ...]
    name: str
    #: by value id
    values: list[str] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)

    def runs_of(self, rows: Rows) -> Iterator[tuple[int, _Run]]:
        """Rows by their hours, without those in which nothing is counted."""
        kept = rows.sums.any(axis=0)
        minutes, value_ids = rows.columns[:2, kept]
        hours, minutes = np.divmod(minutes, HOUR)
        keys = (self._ids_of(rows.values)[value_ids] << _MINUTE_BITS) | minutes
        order = np.lexsort((keys, hours))
        keys, hours, sums = keys[order], hours[order], rows.sums[:, kept]
        starts = [0, *((hours[1:] != hours[:-1]).nonzero()[0] + 1).tolist(), len(hours)]
        for start, end in pairwise(starts):
            if start < end:
                yield int(hours[start]), _Run(keys[start:end].copy(), sums.take(order[start:end], axis=1))

    def plus(self, hour: int, runs: tuple[_Run, ...], run: _Run) -> tuple[_Run, ...]:
        """The runs of an hour with one more. Raises `CellOverflowError` where a cell no longer fits in 64 bits."""
        runs = (*runs, run)
        if sum(run.largest for run in runs) > LARGEST:
            return (self._added_up(hour, runs),)
        if len(runs) <= _WAITING:
            return runs
        start, rows = len(runs) - 1, len(run)
        while start and len(runs[start - 1]) <= rows * _PART:
            start -= 1
            rows += len(runs[start])
        return (*runs[:start], self._added_up(hour, runs[start:]))

    def added_up(self, hour: int, held: _Hour) -> _Run:
        """The cells of an hour, which has this one run from then on."""
        if len(held.runs) > 1:
            held.runs = (self._added_up(hour, held.runs),)
        return held.runs[0]

    def minutes(self, hour: int, held: _Hour) -> int:
        """A bit for each minute of an hour that has cells."""
        runs = held.runs
        if len(runs) > 1 and any(run.signed for run in runs):
            # cells may have become zero
            return self.added_up(hour, held).minutes
        return reduce(or_, (run.minutes for run in runs))

    def rolled(self, hours: Mapping[int, _Hour], hours_below: int, days_below: int) -> dict[int, _Hour]:
        """The hours with coarser minutes. Raises `CellOverflowError`."""
        out = dict(hours)
        parts: dict[int, list[_Run]] = {}
        for hour, held in hours.items():
            by_hour, by_day = (_minutes_below(limit, hour) for limit in (hours_below, days_below))
            if not (by_hour or by_day):
                continue
            in_hour, in_day = (self.minutes(hour, held) & ((1 << count) - 1) for count in (by_hour, by_day))
            if (in_hour | in_day) <= 1 and not (in_day and hour % _DAY_HOURS):
                continue
            run = self.added_up(hour, out.pop(hour))
            minutes = run.keys & _MINUTE
            of_day = minutes < by_day
            keys = np.where(of_day | (minutes < by_hour), run.keys - minutes, run.keys)
            for target, chosen in ((hour - hour % _DAY_HOURS, of_day), (hour, ~of_day)):
                if chosen.any():
                    parts.setdefault(target, []).append(_Run(keys[chosen], run.sums[:, chosen]))
        for hour, runs in parts.items():
            there = out.get(hour)
            run = self._added_up(hour, runs if there is None else [*runs, *there.runs])
            if hour * HOUR < SMALLEST and run.minutes & 1:
                first = (run.keys & _MINUTE).argmin()
                raise CellOverflowError.at(self._key(hour, int(run.keys[first])), "minute")
            out[hour] = _Hour((run,))
        return out

    def cells(self, hour: int, held: _Hour) -> Iterator[tuple[CellKey, Cell]]:
        """The cells of an hour."""
        run = self.added_up(hour, held)
        minutes = (run.keys & _MINUTE).tolist()
        first = hour * HOUR
        names = map(self.values.__getitem__, (run.keys >> _MINUTE_BITS).tolist())
        keys = map(CellKey, (first + minute for minute in minutes), repeat(self.name), names)
        return zip(keys, map(Cell, run.sums.T.tolist()), strict=True)

    def _added_up(self, hour: int, runs: Sequence[_Run]) -> _Run:
        def overflow(group: int, measure: int) -> CellOverflowError:
            return CellOverflowError.at(self._key(hour, int(keys[group])), self.measures[measure])

        keys, groups = grouped(np.concatenate([run.keys for run in runs]))
        parts = np.concatenate([run.sums for run in runs], axis=1, dtype=np.int64)
        sums = group_sums(groups, parts, len(keys), overflow)
        kept = sums.any(axis=0)
        return _Run(keys, sums) if kept.all() else _Run(keys[kept], sums[:, kept])

    def _key(self, hour: int, key: int) -> CellKey:
        return CellKey(hour * HOUR + (key & _MINUTE), self.name, self.values[key >> _MINUTE_BITS])

    def _ids_of(self, values: Iterable[str]) -> Ints:
        out = []
        for value in values:
            number = self.ids.get(value)
            if number is None:
                number = len(self.values)
                # whoever finds its number shall find the value
                self.values.append(value)
                self.ids[value] = number
            out.append(number)
        return np.array(out, np.int64)


def _minutes_below(limit: int, hour: int) -> int:
    """How many minutes of an hour are below a limit."""
    return min(max(limit - hour * HOUR, 0), HOUR)


class CellHistory:
    """Cells that are added to. For one writer; views of it are for any number of threads."""

    def __init__(self, measures: tuple[str, ...]) -> None:
        """`measures`: their names, in the order of every cell."""
        self._measures = measures
        self._dimensions: dict[str, _Dimension] = {}
        self._hours: dict[str, dict[int, _Hour]] = {}
        self._view: CellHistoryView | None = None

    def add(self, table: CellTable) -> None:
        """Adds the cells of a table; where it raises, nothing is added.

        Raises:
            CellOverflowError: A cell no longer fits in 64 bits.
            ValueError: The table has other measures.
        """
        if table.measures != self._measures:
            raise ValueError(f"a history of {self._measures} cannot hold {table.measures}")
        changed: dict[str, dict[int, _Hour]] = {}
        for name, rows in table.dimensions.items():
            dimension = self._dimensions.setdefault(name, _Dimension(self._measures, name))
            held = self._hours.get(name, {})
            changed[name] = {
                hour: _Hour(dimension.plus(hour, held[hour].runs if hour in held else (), run))
                for hour, run in dimension.runs_of(rows)
            }
        for name, hours in changed.items():
            self._hours.setdefault(name, {}).update(hours)
        self._view = None

    def roll(self, hours_below: int, days_below: int) -> None:
        """Makes minutes coarser, as `CellTable.rolled` does; where it raises, nothing changes.

        Args:
            hours_below: Minutes below it become the first of their hour.
            days_below: Minutes below it become the first of their day.

        Raises:
            CellOverflowError: A sum, or the first minute of an hour or a day, does not fit in 64 bits.
        """
        self._hours = {
            name: self._dimensions[name].rolled(hours, hours_below, days_below) for name, hours in self._hours.items()
        }
        self._view = None

    def view(self) -> CellHistoryView:
        """What is held now."""
        if self._view is None:
            self._view = CellHistoryView([(self._dimensions[name], dict(hours)) for name, hours in self._hours.items()])
        return self._view


class CellHistoryView:
    """A picture of a `CellHistory`, which never changes. Keys whose sums are all zero are left out of answers."""

    def __init__(self, dimensions: Sequence[tuple[_Dimension, Mapping[int, _Hour]]]) -> None:
        """Made by `CellHistory.view`."""
        self._dimensions = dimensions

    def between(self, start: int, end: int, dimension: str | None = None) -> dict[tuple[str, str], Cell]:
        """Sums by (dimension, value) over the minutes from `start` to `end` (excluded), however large.

        `dimension`: the only one to look at; None: all.
        """
        out: dict[tuple[str, str], Cell] = {}
        for each, hours in self._dimensions:
            if dimension not in (None, each.name):
                continue
            parts = [
                run.between(first, last) for hour, first, last in _span(hours, start, end) for run in hours[hour].runs
            ]
            if parts:
                ids = np.concatenate([ids for ids, _ in parts])
                sums = np.concatenate([sums for _, sums in parts], axis=1, dtype=np.int64)
                found, cells = exact_sums(ids, sums, len(each.values))
                keys = zip(repeat(each.name), map(each.values.__getitem__, found))
                out.update((key, cell) for key, cell in zip(keys, cells, strict=True) if any(cell))
        return out

    def series(self, dimension: str, value: str, start: int, end: int) -> dict[int, Cell]:
        """Minute to cell of one value, from `start` to `end` (excluded), in the order of time."""
        out: dict[int, Cell] = {}
        for each, hours in self._dimensions:
            value_id = each.ids.get(value)
            if each.name != dimension or value_id is None:
                continue
            for hour, first, last in sorted(_span(hours, start, end)):
                found: dict[int, Cell] = {}
                for run in hours[hour].runs:
                    for minute, cell in run.series(value_id, first, last):
                        old = found.get(minute)
                        found[minute] = cell if old is None else old.plus(cell)
                out.update((hour * HOUR + minute, found[minute]) for minute in sorted(found) if any(found[minute]))
        return out

    def minutes(self, start: int | None = None, end: int | None = None) -> set[int]:
        """Minutes from `start` to `end` (excluded) that have cells; None: from the first, to the last."""
        found: dict[int, int] = {}
        for dimension, hours in self._dimensions:
            for hour, held in hours.items():
                found[hour] = found.get(hour, 0) | dimension.minutes(hour, held)
        every = {
            hour * HOUR + minute for hour, minutes in found.items() for minute in range(HOUR) if minutes >> minute & 1
        }
        return {minute for minute in every if (start is None or minute >= start) and (end is None or minute < end)}

    def cells(self) -> Cells:
        """The cells by their keys."""
        return {
            key: cell
            for dimension, hours in self._dimensions
            for hour, held in hours.items()
            for key, cell in dimension.cells(hour, held)
        }

    def __len__(self) -> int:
        return sum(
            len(dimension.added_up(hour, held)) for dimension, hours in self._dimensions for hour, held in hours.items()
        )


def _span(hours: Iterable[int], start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The hours of a span, and in each of them the first minute and the one after the last that are in it."""
    for hour in hours:
        first, last = _minutes_below(start, hour), _minutes_below(end, hour)
        if first < last:
            yield hour, first, last
