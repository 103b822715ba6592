"""order: what follows from the order of a partition's records, whatever is in them: epochs, lateness, duplicates.

In bulk, over columns: each has a short cut for the usual case (no new epoch, nothing late, no
duplicate), which decides without a look at single records.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from operator import gt
from typing import Any, Final, NamedTuple

from core.horizon import Horizon

#: Up to this number, places are deleted one by one, which is faster than a look at each item.
FEW: Final = 100


class EpochRange(NamedTuple):
    """Records of one epoch, one after the other: places from `start` up to before `end`."""

    epoch: int
    start: int
    end: int


def epoch_ranges(appended: Sequence[int], epoch: int, epoch_ms: int) -> list[EpochRange]:
    """Records by epoch, which is the running maximum of append time over epoch length.

    Args:
        appended: Append times in ms; a clock may go back.
        epoch: That of the records before; -1 for none.
        epoch_ms: Length of an epoch.
    """
    if not appended:
        return []
    if max(appended) < (epoch + 1) * epoch_ms:
        return [EpochRange(epoch, 0, len(appended))]
    epochs = list(accumulate((append_ms // epoch_ms for append_ms in appended), max, initial=epoch))[1:]
    bounds = [0, *(place for place in range(1, len(epochs)) if epochs[place] != epochs[place - 1]), len(epochs)]
    return [EpochRange(epochs[start], start, end) for start, end in pairwise(bounds)]


def lateness(times: Sequence[int], appended: Sequence[int], newest_ms: int, lateness_ms: int) -> tuple[list[int], int]:
    """Which events come late: more than `lateness_ms` behind the newest event time before them.

    An event from the future must not make all others late, so an event counts as no newer than its append time.

    Args:
        times: Event times in ms of accepted events, duplicates with them.
        appended: Their append times.
        newest_ms: The newest event time before.
        lateness_ms: How far behind is not late.

    Returns:
        The places of late ones; the newest event time after them.
    """
    if not times:
        return [], newest_ms
    seen = list(map(min, times, appended)) if any(map(gt, times, appended)) else times
    newest = max(seen)
    newest = max(newest, newest_ms)
    late: list[int] = []
    before, start, limit = newest_ms, 0, newest - lateness_ms
    # only these can be late, and usually no event is
    for place in [place for place, time_ms in enumerate(times) if time_ms < limit]:
        before, start = max(before, max(seen[start:place], default=before)), place
        if times[place] < before - lateness_ms:
            late.append(place)
    return late, newest


def repeated(ids: Sequence[Any], horizon: Horizon) -> list[int]:
    """The places of events whose ids were seen before within the horizon; remembers all ids.

    Args:
        ids: Of events of one epoch.
        horizon: Of their partition; it has entered their epoch.
    """
    fresh = set(ids)
    known = horizon.known(fresh)
    horizon.current |= fresh
    if len(fresh) == len(ids):
        return [place for place, each in enumerate(ids) if each in known] if known else []
    # twice in these: the first one counts, which is the last that the dictionary is told
    first = dict(zip(reversed(ids), range(len(ids) - 1, -1, -1), strict=True))
    for each in known:
        del first[each]
    return sorted(set(range(len(ids))).difference(first.values()))


def without(items: Sequence[Any], places: Sequence[int]) -> list[Any]:
    """All items but those at some places, which ascend and usually are few."""
    kept = list(items)
    if len(places) > FEW:
        gone = frozenset(places)
        return [item for place, item in enumerate(kept) if place not in gone]
    for place in reversed(places):
        del kept[place]
    return kept
