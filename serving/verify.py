"""verify: an answer against the truth at its own offset vector, cell by cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from core.cells import Cell, Cells, merge
from core.declaration.pipeline import ALL, Pipeline
from core.delta import LATE
from core.errors import UnavailableError
from core.event_counts import Number, events_of
from core.ledger import UNAUDITED, Ledger, Truth
from serving.answer import Answer
from serving.difference import Difference, name_of
from serving.surplus import surplus_differences

#: The group of all epochs below the cut.
_COVERED: Final = -1


@dataclass(frozen=True, slots=True)
class Verdict:
    """`exact`: every number equals the truth (ideal below the cut, horizon from it on), and nothing is unaccounted for.

    Records without a truth header are judged by epoch: the view may have what they can add there, and no more
    (`serving.surplus`); `unaudited` is their number. `uncounted`: records of the log that the view has not counted.
    `empty`: there was nothing to compare. `exact` stands for what was compared, so an empty or incomplete view is
    not exact to people (`modes.verdict`).
    `accuracy`: 1 minus the distance of the view's events from the ideal truth's, cell by cell, as
    a share of the ideal truth's events.
    """

    exact: bool
    compared_cells: int
    events: int
    accuracy: float
    duplicates_beyond_horizon: int
    unaudited: int
    uncounted: int = 0
    empty: bool = False
    differences: list[Difference] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The document of `fourfold verify --json`."""
        return {
            "exact": self.exact,
            "compared_cells": self.compared_cells,
            "events": self.events,
            "accuracy": self.accuracy,
            "differences": [
                {"where": d.where, "measure": d.measure, "view": d.view, "truth": d.truth} for d in self.differences
            ],
            "duplicates_beyond_horizon": self.duplicates_beyond_horizon,
            "unaudited": self.unaudited,
            "uncounted": self.uncounted,
        }


def compare(answer: Answer, ledger: Ledger, pipeline: Pipeline) -> Verdict:
    """The verdict on an answer. The ledger must have read up to the answer's vector.

    Raises `UnavailableError` where the log no longer has what the batch view covers.
    """
    vector = answer.vector
    if answer.batch is not None and ledger.sound_from:
        raise UnavailableError("the log no longer has all that the batch view covers: its truth cannot be told")
    floor = _floor(answer, ledger.sound_from)
    ideal, expected = ledger.truths(vector, answer.cut_epoch, floor)
    cells, counters = _seen(answer, floor)
    # what the batch view covers has no epochs any more: it is one group
    unaudited = _grouped(expected.unaudited(), answer)
    differences = _strict_differences(pipeline, answer, expected, floor, unaudited.keys())
    for group, number in sorted(unaudited.items()):
        differences += _loose_differences(pipeline, answer, expected, floor, group, number)
    differences += _conservation_differences(answer)
    true_counters, true_cells, ideal_cells = _audited(expected), _kept(answer, expected), _kept(answer, ideal)
    beyond = ideal.counters().get("duplicates", 0) - true_counters.get("duplicates", 0)
    events = events_of(pipeline)
    return Verdict(
        exact=not differences,
        empty=not (cells or counters or true_cells or true_counters),
        compared_cells=len(cells.keys() | true_cells.keys()),
        events=sum(events(cell) for key, cell in cells.items() if key.dimension == ALL),
        accuracy=_accuracy(events, pipeline.zero, cells, ideal_cells),
        duplicates_beyond_horizon=beyond,
        unaudited=sum(unaudited.values()),
        differences=differences,
    )


def _floor(answer: Answer, sound_from: int) -> int:
    """The first epoch that is compared: the truth is sound from there on, and no range of merged epochs is cut."""
    floor = max(answer.floor, sound_from)
    for first, last in answer.speed.ranges if answer.speed else ():
        if first < floor <= last:
            floor = last + 1
    return floor


def _group_of(epoch: int, answer: Answer) -> int:
    if epoch < answer.cut_epoch:
        return _COVERED
    return epoch if answer.speed is None else answer.speed.start_of(epoch)


def _grouped(numbers: Mapping[int, int], answer: Answer) -> dict[int, int]:
    sums: Counter[int] = Counter()
    for epoch, number in numbers.items():
        sums[_group_of(epoch, answer)] += number
    return dict(sums)


def _seen(answer: Answer, floor: int, chosen: Callable[[int], bool] = lambda _: True) -> tuple[Cells, dict[str, int]]:
    """The view's cells and counters in the groups that are chosen."""
    parts: list[Cells] = []
    counters: Counter[str] = Counter()
    if answer.batch is not None and chosen(_COVERED):
        parts.append(answer.batch.cells())
        counters.update(answer.batch.manifest.counters)
    if answer.speed is not None:
        parts += [
            part
            for (epoch, _), part in answer.speed.cells.items()
            if epoch >= floor and chosen(answer.speed.start_of(epoch))
        ]
        for epoch, part in answer.speed.quality.items():
            if epoch >= floor and chosen(answer.speed.start_of(epoch)):
                counters.update(part)
    return merge(*parts), dict(counters)


def _kept(answer: Answer, truth: Truth) -> Cells:
    """The true cells, as coarse as the view keeps event time."""
    return truth.cells() if answer.speed is None else answer.speed.grain.cells(truth.cells())


def _audited(truth: Truth) -> dict[str, int]:
    counters = truth.counters()
    counters.pop(UNAUDITED, None)
    return counters


def _strict_differences(
    pipeline: Pipeline, answer: Answer, expected: Truth, floor: int, loose: Container[int]
) -> list[Difference]:
    """Of all groups but those that have unaudited records."""
    cells, counters = _seen(answer, floor, lambda epoch: epoch not in loose)
    true = expected.within(lambda epoch: _group_of(epoch, answer) not in loose) if loose else expected
    return [*_cell_differences(pipeline, cells, _kept(answer, true)), *_counter_differences(counters, _audited(true))]


def _loose_differences(
    pipeline: Pipeline, answer: Answer, expected: Truth, floor: int, group: int, unaudited: int
) -> Iterator[Difference]:
    """Of a group that has that many unaudited records."""
    cells, counters = _seen(answer, floor, lambda epoch: epoch == group)
    true = expected.within(lambda epoch: _group_of(epoch, answer) == group)
    return surplus_differences(pipeline, cells, counters, _kept(answer, true), _audited(true), unaudited)


def _cell_differences(pipeline: Pipeline, view: Cells, truth: Cells) -> list[Difference]:
    zero = pipeline.zero
    return [
        Difference(name_of(key), measure, seen, true)
        for key in sorted(view.keys() | truth.keys())
        for measure, seen, true in zip(pipeline.measures, view.get(key, zero), truth.get(key, zero), strict=True)
        if seen != true
    ]


def _counter_differences(view: dict[str, int], truth: dict[str, int]) -> list[Difference]:
    return [
        Difference("quality", name, view.get(name, 0), truth.get(name, 0))
        for name in sorted(view.keys() | truth.keys())
        if view.get(name, 0) != truth.get(name, 0)
    ]


def _conservation_differences(answer: Answer) -> list[Difference]:
    """Accepted + duplicates + rejected = offsets advanced: of each partition, and of the batch view."""
    found = [
        Difference(
            f"conservation of {source}",
            "offsets",
            p.accepted + p.duplicates + p.rejected + p.gaps + p.lost,
            p.next - p.first,
        )
        for source, p in (answer.speed.positions.items() if answer.speed else ())
        if not p.conserved
    ]
    if answer.batch is not None:
        manifest = answer.batch.manifest
        states = manifest.partitions
        records = sum(n for name, n in manifest.counters.items() if name != LATE)
        counted = records + sum(state.gaps + state.lost for state in states.values())
        passed = sum(
            offset - (states[source].first if source in states else 0) for source, offset in manifest.cut.vector.items()
        )
        if counted != passed:
            found.append(Difference("conservation of the batch view", "offsets", counted, passed))
    return found


def _accuracy(events: Number, zero: Cell, view: Cells, ideal: Cells) -> float:
    """In events of the dimension `all`, minute by minute."""
    keys = [key for key in view.keys() | ideal.keys() if key.dimension == ALL]
    true = sum(events(ideal.get(key, zero)) for key in keys)
    distance = sum(abs(events(view.get(key, zero)) - events(ideal.get(key, zero))) for key in keys)
    return 1.0 if not true else max(0.0, 1 - distance / true)
