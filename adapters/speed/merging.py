"""Merging: entries of a partition's log into blocks and totals, small blocks into larger ones.

Each cell is written again a few times and no more: blocks of an epoch are merged when they are about as large as
what is new; where no epoch expires, closed epochs are merged in aligned ranges of 16, 256, 4,096 and so on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from adapters.speed.blocks import LARGEST_ROWS, Block, BlockName, block_of_entries, gather_old
from adapters.speed.port import RefusedError
from core.cells import LARGEST
from core.errors import ConfigurationError
from core.position import Position
from core.rollup import BY_MINUTES, DAY, HOUR, Grain, Rollup

#: Ranges of closed epochs that are merged are as long as its powers.
_WIDTH: Final = 16
_LONGEST: Final = _WIDTH**4
#: A block of an epoch that is still open is merged with what is new where it has at most this many times its rows.
_AS_LARGE: Final = 2
#: The field of the totals of all epochs, where none expires.
ALL_EPOCHS: Final = "all"
#: Quality counters of this many newest epochs are kept apart in them.
_RECENT: Final = 16
#: A block is rolled up when its oldest minutes are due for this long, so that it is not written again for each hour.
_OVERDUE: Final = 6 * HOUR

_LIMIT: Final = "what 64 bits hold. Find which events add so much, and begin another view with FOURFOLD_NAMESPACE"

Entries = Sequence[tuple[bytes, Mapping[bytes, bytes]]]


@dataclass(frozen=True, slots=True)
class Found:
    """What a partition has: entries that are not merged yet, names of blocks and of totals.

    Attributes:
        merged: The id up to which the log is merged.
        merges: How often it was.
        epoch: The one that its position stands in; those below are closed.
        floor: Epochs below it have expired.
        newest_ms: The newest event time.
        grain: What is kept by hours and by days already.
    """

    merged: str
    merges: int
    epoch: int
    floor: int
    newest_ms: int
    grain: Grain
    entries: Entries
    blocks: Sequence[BlockName]
    totals: Sequence[str]

    @classmethod
    def of(
        cls, state: Mapping[bytes, bytes], entries: Entries, blocks: Iterable[bytes], totals: Iterable[bytes]
    ) -> Self:
        """From what Redis answers: a partition's state, entries after `merged`, and the fields of its other keys."""
        text = state.get(b"position")
        position = Position() if text is None else Position.decode(text.decode())
        return cls(
            state[b"merged"].decode(),
            int(state[b"merges"]),
            position.epoch,
            int(state.get(b"floor", b"0")),
            position.newest_ms,
            grain_of(state),
            entries,
            [BlockName.parse(name.decode()) for name in blocks],
            [field.decode() for field in totals],
        )


def grain_of(state: Mapping[bytes, bytes]) -> Grain:
    """What a partition keeps by hours and by days, as its state says it."""
    return Grain(int(state.get(b"hours_below", b"0")), int(state.get(b"days_below", b"0")))


@dataclass(slots=True)
class Merged:
    """What a merge makes of a partition.

    Attributes:
        wanted: Names of blocks that have to be read for it.
        wanted_totals: And of totals.
    """

    measures: tuple[str, ...]
    merged: str
    merges: int
    grain: Grain
    #: a range of epochs to what is new in it, and the blocks that go into it
    ranges: dict[tuple[int, int], tuple[list[Block], list[BlockName]]]
    #: the name of totals to what is new in them
    added: dict[str, list[Block]]
    old_totals: list[str]
    old_blocks: list[str]
    wanted: list[str]
    wanted_totals: list[str]
    totals: dict[str, bytes] = field(default_factory=dict)
    blocks: dict[str, bytes] = field(default_factory=dict)

    def made(self, blocks: Sequence[bytes], totals: Sequence[bytes]) -> Merged:
        """Ready, now that what was wanted is there.

        Raises:
            CellOverflowError: A sum passes 64 bits.
            ValueError: Something is not what a worker writes.
        """
        packed = dict(zip(self.wanted, blocks, strict=True))
        for (first, last), (new, names) in self.ranges.items():
            parts = [*new, *(Block.unpack(packed[str(name)], self.measures) for name in names)]
            whole = Block.merged(parts, self.measures)
            if self.grain.hours_below:
                whole = whole.rolled(self.grain)
            self.old_blocks += map(str, names)
            name = BlockName(first, last, self.merges + 1, len(whole.table), *whole.oldest(self.grain))
            self.blocks[str(name)] = whole.pack()
        before = dict(zip(self.wanted_totals, totals, strict=True))
        for name_of_totals, added in self.added.items():
            there = [Block.unpack(before[name_of_totals], self.measures)] if name_of_totals in before else []
            sums = Block.merged([*there, *(block.totals() for block in added)], self.measures)
            gather_old(sums.counters, _RECENT)
            self.totals[name_of_totals] = sums.pack()
        return self

    def arguments(self, trimmed: str) -> list[Any]:
        """For `merge.lua`; `trimmed`: the id up to which entries go."""
        counts = [len(self.totals), len(self.blocks), len(self.old_totals), len(self.old_blocks)]
        pairs = [part for both in (self.totals, self.blocks) for pair in both.items() for part in pair]
        return [self.merged, self.merges, trimmed, *self.grain, *counts, *pairs, *self.old_totals, *self.old_blocks]


def merged(found: Found, measures: tuple[str, ...], rollup: Rollup | None) -> Merged | None:
    """What to write in place of a partition's entries; None where there is nothing to do.

    Args:
        found: As read at one instant.
        measures: Of the pipeline, in declared order.
        rollup: How fine event time is kept where no epoch expires; None where epochs do.

    Raises:
        CellOverflowError: A sum passes 64 bits.
        ValueError: Something in it is not what a worker writes.
    """
    keeps_all = rollup is not None
    grain = BY_MINUTES if rollup is None else rollup.grain(found.newest_ms).coarser(found.grain)
    new = {
        epoch: block
        for epoch, block in block_of_entries((entry for _, entry in found.entries), measures).items()
        if epoch >= found.floor
    }
    expired = [name for name in found.blocks if name.last < found.floor]
    standing = [name for name in found.blocks if name.last >= found.floor]
    ranges = _ranges(new, standing, found.epoch, grain, keeps_all=keeps_all)
    old_totals = [] if keeps_all else [epoch for epoch in found.totals if int(epoch) < found.floor]
    if not (found.entries or ranges or expired or old_totals):
        return None
    added: dict[str, list[Block]] = {}
    for epoch, block in new.items():
        added.setdefault(ALL_EPOCHS if keeps_all else str(epoch), []).append(block)
    return Merged(
        measures,
        found.entries[-1][0].decode() if found.entries else found.merged,
        found.merges,
        grain,
        ranges,
        added,
        old_totals,
        [str(name) for name in expired],
        [str(name) for _, names in ranges.values() for name in names],
        [name for name in found.totals if name in added],
    )


def _ranges(
    new: Mapping[int, Block], names: Sequence[BlockName], closed_below: int, grain: Grain, *, keeps_all: bool
) -> dict[tuple[int, int], tuple[list[Block], list[BlockName]]]:
    ranges: dict[tuple[int, int], tuple[list[Block], list[BlockName]]] = {}
    for epoch, block in new.items():
        ranges.setdefault(_target(epoch, epoch, closed_below, keeps_all=keeps_all), ([], []))[0].append(block)
    for name in sorted(names, key=lambda name: name.rows):
        place = _target(name.first, name.last, closed_below, keeps_all=keeps_all)
        ranges.setdefault(place, ([], []))[1].append(name)
    return {
        place: (blocks, chosen)
        for place, (blocks, found) in ranges.items()
        if (chosen := _chosen(place, blocks, found, closed_below, grain)) or blocks
    }


def _chosen(
    place: tuple[int, int], new: Sequence[Block], names: Sequence[BlockName], closed_below: int, grain: Grain
) -> list[BlockName]:
    """Which blocks are merged with what is new, the smallest first."""
    rows = sum(len(block.table) for block in new)
    closed = place[1] < closed_below
    overdue = [name for name in names if _overdue(name, grain)]
    if overdue and not new:
        # alone: it has fewer rows afterwards
        return overdue[:1]
    if closed and not new and (len(names) == 1 and (names[0].first, names[0].last) == place):
        return []
    if closed and rows + sum(name.rows for name in names) <= LARGEST_ROWS:
        return list(names)
    chosen = []
    for name in names:
        if (name.rows > _AS_LARGE * rows and not closed) or rows + name.rows > LARGEST_ROWS:
            break
        chosen.append(name)
        rows += name.rows
    return chosen if new or len(chosen) > 1 else []


def _overdue(name: BlockName, grain: Grain) -> bool:
    """Whether a block has much that is due to be rolled up."""
    return (0 < name.fine < grain.hours_below - _OVERDUE) or (0 < name.hourly < grain.days_below - DAY)


def _target(first: int, last: int, closed_below: int, *, keeps_all: bool) -> tuple[int, int]:
    """The longest aligned range of closed epochs around a block; the block's own range without one."""
    place = (first, last)
    if not keeps_all:
        return place
    width = _WIDTH
    while width <= _LONGEST:
        start = first // width * width
        if start + width > closed_below:
            break
        if last < start + width:
            place = (start, start + width - 1)
        width *= _WIDTH
    return place


def largest_with(
    merged_to: bytes, entries: Entries, blocks: Iterable[bytes], step: Mapping[bytes, bytes], measures: tuple[str, ...]
) -> int:
    """The largest absolute value of a total or counter of a partition together with what a step adds.

    Args:
        merged_to: The id up to which the log is in blocks.
        entries: Of the log.
        blocks: Packed.
        step: The entry that the step would be.
        measures: Of the pipeline, in declared order.

    Raises:
        CellOverflowError: A total passes 64 bits.
        RefusedError: A counter does.
    """
    end = place_of(merged_to)
    after = [entry for number, entry in entries if place_of(number) > end]
    parts = [*(Block.unpack(block, measures) for block in blocks), *block_of_entries([*after, step], measures).values()]
    whole = Block.merged([part.totals() for part in parts], measures)
    numbers = [abs(number) for sums in whole.table.totals().values() for number in sums]
    for epoch, counters in whole.counters.items():
        for name, number in counters.items():
            if number > LARGEST:
                raise refused(f"the counter {name!r} of epoch {epoch}")
            numbers.append(number)
    return max(numbers, default=0)


def place_of(number: bytes) -> int:
    """The offset in the id of an entry."""
    return int(number.split(b"-", 1)[0])


def refused(where: str) -> RefusedError:
    """The error for a step that can never be taken. `where`: what would be too large."""
    return RefusedError(f"Redis cannot add a step, and nothing of it was added: {where} would pass {_LIMIT}")


def too_large(where: str) -> ConfigurationError:
    """The error for a sum over partitions. `where`: what is too large."""
    return ConfigurationError(f"the partitions of the view together have too much: {where} passes {_LIMIT}")
