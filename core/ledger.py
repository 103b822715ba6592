"""The truth ledger: what the log ought to count for, at any offset vector.

Made from headers, offsets and append times alone. Two truths, both exact: *ideal* counts each
event once; *horizon* counts what the horizon rule must give (a repetition within the current or
the H previous epochs of its partition is a duplicate, a later one is not recognised).
Shares no code with `core.contract`, `core.partition`, `core.horizon` and `core.kernel`.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from core.cells import MINUTE_MS, Cell, CellKey, Cells
from core.declaration.pipeline import Pipeline
from core.position import PartitionKey
from core.truth import Claim, Claims

Ints = npt.NDArray[np.int64]

UNAUDITED: Final = "unaudited"
_COUNTER: Final = "counter"
_IDEAL, _HORIZON = 1, 2
#: Bytes of memory that a run of numbers takes at once: few, since garbage may scatter them.
_BLOCK: Final = 1 << 10


class Slot(NamedTuple):
    """One number of the truth: a measure of a cell in an epoch, or a counter of an epoch."""

    epoch: int
    minute: int
    dimension: str
    value: str
    #: its place; 0 of a counter
    measure: int


class _Slots:
    """All slots there are, each with a number; those that differ in their epoch alone are a group."""

    def __init__(self, slots: Iterable[Slot] = ()) -> None:
        self.all: list[Slot] = []
        self.epochs: array[int] = array("q")
        #: by slot: the number of its group
        self.groups: array[int] = array("q")
        #: by number of a group: one of its slots
        self.names: list[Slot] = []
        self._numbers: dict[Slot, int] = {}
        self._group_numbers: dict[Slot, int] = {}
        for slot in slots:
            self.number_of(slot)

    def number_of(self, slot: Slot) -> int:
        """The number of a slot; that of a new one is the next."""
        number = self._numbers.get(slot)
        if number is None:
            number = self._numbers[slot] = len(self.all)
            self.all.append(slot)
            name = slot._replace(epoch=0)
            group = self._group_numbers.setdefault(name, len(self.names))
            if group == len(self.names):
                self.names.append(name)
            self.epochs.append(slot.epoch)
            self.groups.append(group)
        return number


class ForgottenError(Exception):
    """The ledger was told to forget the log below a vector and is asked about an earlier one."""


@dataclass(slots=True)
class _PartitionLog:
    """Entries of one partition in offset order, and what decides the next ones."""

    offsets: array[int] = field(default_factory=lambda: array("q"))
    slots: array[int] = field(default_factory=lambda: array("l"))
    numbers: array[int] = field(default_factory=lambda: array("q"))
    truths: array[int] = field(default_factory=lambda: array("b"))
    #: forgotten below; a log that begins later, or with a gap, has forgotten nothing
    base: int = 0
    epoch: int = -1
    newest_ms: int = 0
    last_epoch: dict[tuple[int, int], int] = field(default_factory=dict)


class Ledger:
    """Takes the log's records in offset order of each partition; answers for any vector."""

    def __init__(self, pipeline: Pipeline, *, epoch_ms: int, horizon: int, lateness_ms: int) -> None:
        self._claims = Claims(pipeline)
        self._width = len(pipeline.measures)
        self._dimensions = pipeline.dimension_names
        self._epoch_ms = epoch_ms
        self._horizon = horizon
        self._lateness_ms = lateness_ms
        self._logs: dict[PartitionKey, _PartitionLog] = {}
        self._slots = _Slots()
        self._runs: dict[str, int] = {}
        #: by run and block of numbers: one byte for each event that was met
        self._seen: dict[tuple[int, int], bytearray] = {}
        #: epochs below it may lack records that retention removed before they were read
        self.sound_from = 0
        self._whole: set[PartitionKey] = set()
        #: of epochs below it only sums over epochs and minutes are known
        self._settled = 0
        self._base = {_IDEAL: np.zeros(0, np.int64), _HORIZON: np.zeros(0, np.int64)}

    def begins(self, source: PartitionKey, log_start: int) -> None:
        """Told where a partition's log begins: at 0 nothing is missing, wherever its first record is."""
        if not log_start:
            self._whole.add(source)

    def add(self, source: PartitionKey, offset: int, append_ms: int, header: bytes | None) -> None:
        """One record: its place, its append time in ms (0: the broker did not stamp it), the value of its truth header."""
        log = self._logs.get(source)
        if log is None:
            log = self._logs[source] = _PartitionLog()
        epoch = append_ms // self._epoch_ms
        if log.epoch < 0 and offset and source not in self._whole:
            self.sound_from = max(self.sound_from, epoch + self._horizon + 1)
        if epoch > log.epoch:
            log.epoch = epoch
            oldest = epoch - self._horizon
            log.last_epoch = {who: e for who, e in log.last_epoch.items() if e >= oldest}
        epoch = log.epoch
        claim = self._claims.decode(header) if header is not None else None
        if claim is None:
            self._enter(log, offset, Slot(epoch, -1, _COUNTER, UNAUDITED, 0), 1)
            return
        if not append_ms:
            # whatever it claims: without an append time nothing can be counted
            self._enter(log, offset, Slot(epoch, -1, _COUNTER, "rejected:not_stamped", 0), 1)
            return
        if claim.verdict == "rejected":
            self._enter(log, offset, Slot(epoch, -1, _COUNTER, f"rejected:{claim.reason}", 0), 1)
            return
        self._accept(log, offset, append_ms, claim)

    def forget(self, vector: Mapping[PartitionKey, int], floor: int = 0) -> None:
        """Keeps only sums below `vector`, and of epochs at and above `floor`."""
        for source, offset in vector.items():
            log = self._logs.get(source)
            if log is None or offset <= log.base:
                continue
            until = int(np.searchsorted(np.frombuffer(log.offsets, np.int64), offset))
            for which in (_IDEAL, _HORIZON):
                self._base[which] = self._grown(which) + self._sums(log, until, which)
            for column in (log.offsets, log.slots, log.numbers, log.truths):
                del column[:until]
            log.base = offset
        if floor and sum(epoch < floor for epoch in self._slots.epochs) > len(self._slots.all) // 2:
            self._drop_below(floor)

    def settle(self, cut_epoch: int) -> None:
        """Keeps only sums over epochs and minutes below `cut_epoch`: what batch views cover grows for ever.

        Questions about an earlier cut raise `ForgottenError` from then on, and cells of those epochs
        have the minute 0.
        """
        if cut_epoch <= self._settled:
            return
        self._settled = cut_epoch
        slots = _Slots()
        moved = np.zeros(len(self._slots.all), np.int64)
        for at, slot in enumerate(self._slots.all):
            if slot.epoch < cut_epoch:
                slot = slot._replace(epoch=cut_epoch - 1, minute=min(slot.minute, 0))  # noqa: PLW2901 - it is the same
            moved[at] = slots.number_of(slot)
        for which in (_IDEAL, _HORIZON):
            sums = np.zeros(len(slots.all), np.int64)
            np.add.at(sums, moved, self._grown(which))
            self._base[which] = sums
        for log in self._logs.values():
            log.slots = array("l", moved[np.frombuffer(log.slots, np.int64)].tolist() if log.slots else [])
        self._slots = slots

    def ideal(self, vector: Mapping[PartitionKey, int], floor: int = 0) -> Truth:
        """Each event once, as of `vector`, in epochs at and above `floor`."""
        return self._at(vector, floor, _IDEAL)

    def horizon(self, vector: Mapping[PartitionKey, int], floor: int = 0) -> Truth:
        """What the horizon rule must give as of `vector`, in epochs at and above `floor`."""
        return self._at(vector, floor, _HORIZON)

    def expected(self, vector: Mapping[PartitionKey, int], cut_epoch: int, floor: int = 0) -> Truth:
        """What a merged view must give as of `vector`: ideal in epochs below the cut, horizon from it on.

        Without a batch view `cut_epoch` is 0. Every record below a cut is in an epoch below it.
        """
        return self.truths(vector, cut_epoch, floor)[1]

    def truths(self, vector: Mapping[PartitionKey, int], cut_epoch: int, floor: int = 0) -> tuple[Truth, Truth]:
        """The ideal truth, and what is `expected`."""
        if cut_epoch < self._settled:
            raise ForgottenError(f"epochs below {self._settled} are settled, the cut is at {cut_epoch}")
        ideal, horizon = self.ideal(vector, floor), self.horizon(vector, floor)
        return ideal, ideal.below(cut_epoch).plus(horizon.since(cut_epoch))

    def _accept(self, log: _PartitionLog, offset: int, append_ms: int, claim: Claim) -> None:
        epoch = log.epoch
        late = claim.time_ms < log.newest_ms - self._lateness_ms
        log.newest_ms = max(log.newest_ms, min(claim.time_ms, append_ms))
        run = self._runs.setdefault(claim.run, len(self._runs))
        who = (run, claim.number)
        repeated = who in log.last_epoch
        log.last_epoch[who] = epoch
        first = self._first(run, claim.number)
        truths = (_IDEAL if first else 0) | (0 if repeated else _HORIZON)
        count = Slot(epoch, -1, _COUNTER, "accepted", 0)
        if truths:
            self._enter(log, offset, count, 1, truths)
            minute = claim.time_ms // MINUTE_MS
            measures = [(place, number) for place, number in enumerate(self._claims.measures(claim)) if number]
            for dimension, value in zip(self._dimensions, ("", *self._claims.dimensions(claim)), strict=True):
                if value is not None:
                    for measure, number in measures:
                        slot = Slot(epoch, minute, dimension, value, measure)
                        self._enter(log, offset, slot, number, truths)
        if late and truths:
            self._enter(log, offset, Slot(epoch, -1, _COUNTER, "late", 0), 1, truths)
        if repeated or not first:
            duplicate = (0 if first else _IDEAL) | (_HORIZON if repeated else 0)
            self._enter(log, offset, Slot(epoch, -1, _COUNTER, "duplicates", 0), 1, duplicate)

    def _first(self, run: int, number: int) -> bool:
        block, place = divmod(number, _BLOCK)
        seen = self._seen.get((run, block))
        if seen is None:
            seen = self._seen[run, block] = bytearray(_BLOCK)
        known = seen[place]
        seen[place] = 1
        return not known

    def _enter(self, log: _PartitionLog, offset: int, slot: Slot, number: int, truths: int = _IDEAL | _HORIZON) -> None:
        log.offsets.append(offset)
        log.slots.append(self._slots.number_of(slot))
        log.numbers.append(number)
        log.truths.append(truths)

    def _grown(self, which: int) -> Ints:
        base = self._base[which]
        return np.concatenate([base, np.zeros(len(self._slots.all) - len(base), np.int64)])

    def _sums(self, log: _PartitionLog, until: int, which: int) -> Ints:
        sums = np.zeros(len(self._slots.all), np.int64)
        if until:
            chosen = (np.frombuffer(log.truths, np.int8)[:until] & which).astype(bool)
            slots = np.frombuffer(log.slots, np.int64)[:until][chosen]
            np.add.at(sums, slots, np.frombuffer(log.numbers, np.int64)[:until][chosen])
        return sums

    def _at(self, vector: Mapping[PartitionKey, int], floor: int, which: int) -> Truth:
        sums = self._grown(which)
        for source, log in self._logs.items():
            offset = vector.get(source)
            if offset is None:
                continue
            if offset < log.base:
                raise ForgottenError(f"{source} is asked at {offset}, forgotten below {log.base}")
            until = int(np.searchsorted(np.frombuffer(log.offsets, np.int64), offset))
            sums += self._sums(log, until, which)
        # copies: a truth outlives what comes into the ledger after it
        epochs, groups = np.array(self._slots.epochs, np.int64), np.array(self._slots.groups, np.int64)
        return Truth(self._width, self._slots.names, epochs, groups, sums).since(floor)

    def _drop_below(self, floor: int) -> None:
        kept = [at for at, epoch in enumerate(self._slots.epochs) if epoch >= floor]
        moved = np.full(len(self._slots.all), -1, np.int64)
        moved[kept] = np.arange(len(kept))
        for which in (_IDEAL, _HORIZON):
            self._base[which] = self._grown(which)[kept]
        for log in self._logs.values():
            slots = moved[np.frombuffer(log.slots, np.int64)] if log.slots else np.zeros(0, np.int64)
            keep = slots >= 0
            log.slots = array("l", slots[keep].tolist())
            log.offsets = _kept(log.offsets, keep)
            log.numbers = _kept(log.numbers, keep)
            log.truths = _kept(log.truths, keep)
        self._slots = _Slots(self._slots.all[at] for at in kept)


def _kept(column: array[int], keep: npt.NDArray[Any]) -> array[int]:
    return array(column.typecode, [number for number, stays in zip(column, keep, strict=True) if stays])


class Truth:
    """The true numbers at one vector."""

    def __init__(self, width: int, names: Sequence[Slot], epochs: Ints, groups: Ints, numbers: Ints) -> None:
        """`width`: how many measures there are. By slot: its `epochs`, its `groups` (a number in `names`) and the true `numbers`."""
        self._width = width
        self._names = names
        self._epochs = epochs
        self._groups = groups
        self._numbers = numbers

    @classmethod
    def of(cls, width: int, numbers: Iterable[tuple[Slot, int]]) -> Self:
        """The truth made of these numbers; `width`: how many measures there are."""
        slots, values = _Slots(), []
        for slot, value in numbers:
            slots.number_of(slot)
            values.append(value)
        return cls(width, slots.names, *(np.array(column, np.int64) for column in (slots.epochs, slots.groups, values)))

    def below(self, epoch: int) -> Truth:
        """The part in epochs below `epoch`."""
        return self._only(self._epochs < epoch)

    def since(self, epoch: int) -> Truth:
        """The part in epochs at and above `epoch`."""
        return self._only(self._epochs >= epoch)

    def plus(self, other: Truth) -> Truth:
        """Both together; they come from one ledger at one time, and their epochs differ."""
        return Truth(self._width, self._names, self._epochs, self._groups, self._numbers + other._numbers)

    def within(self, chosen: Callable[[int], bool]) -> Truth:
        """The part in the epochs that are chosen."""
        epochs, places = np.unique(self._epochs, return_inverse=True)
        return self._only(np.array([chosen(epoch) for epoch in epochs.tolist()], np.bool_)[places])

    def unaudited(self) -> dict[int, int]:
        """Epoch to how many of its records say nothing of what they count for; those that have some."""
        groups = [n for n, name in enumerate(self._names) if (name.dimension, name.value) == (_COUNTER, UNAUDITED)]
        found: dict[int, int] = {}
        for at in np.flatnonzero(np.isin(self._groups, groups) & (self._numbers != 0)).tolist():
            epoch = int(self._epochs[at])
            found[epoch] = found.get(epoch, 0) + int(self._numbers[at])
        return found

    def cells(self) -> Cells:
        """The true cells, summed over epochs."""
        sums: dict[CellKey, list[int]] = {}
        for name, number in self._sums():
            if name.dimension != _COUNTER:
                key = CellKey(name.minute, name.dimension, name.value)
                sums.setdefault(key, [0] * self._width)[name.measure] += number
        return {key: Cell(numbers) for key, numbers in sums.items()}

    def totals(self) -> dict[tuple[str, str], Cell]:
        """The true sums over minutes, by (dimension, value)."""
        sums: dict[tuple[str, str], list[int]] = {}
        for name, number in self._sums():
            if name.dimension != _COUNTER:
                key = (name.dimension, name.value)
                sums.setdefault(key, [0] * self._width)[name.measure] += number
        return {key: Cell(numbers) for key, numbers in sums.items()}

    def counters(self) -> dict[str, int]:
        """accepted, duplicates, late, rejected:<reason>, unaudited; those that are not zero."""
        sums: dict[str, int] = {}
        for name, number in self._sums():
            if name.dimension == _COUNTER:
                sums[name.value] = sums.get(name.value, 0) + number
        return sums

    def _only(self, chosen: npt.NDArray[np.bool_]) -> Truth:
        return Truth(self._width, self._names, self._epochs, self._groups, np.where(chosen, self._numbers, 0))

    def _sums(self) -> Iterator[tuple[Slot, int]]:
        """What is not zero, summed over epochs."""
        known = int(self._groups.max(initial=-1)) + 1
        sums = np.zeros(known, np.int64)
        np.add.at(sums, self._groups, self._numbers)
        for group in np.flatnonzero(sums).tolist():
            yield self._names[group], int(sums[group])
