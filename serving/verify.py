"""verify: an answer against the truth at its own offset vector, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from core.cells import MEASURES, MINUTE_MS, Cell, CellKey, Cells, merge
from core.delta import LATE
from core.errors import UnavailableError
from core.ledger import UNAUDITED, Ledger
from core.rfc3339 import to_text
from serving.answer import Answer
from serving.plain import safe


@dataclass(frozen=True, slots=True)
class Difference:
    """A number of the view that is not the true one."""

    where: str
    measure: str
    view: int
    truth: int

    def __str__(self) -> str:
        return f"{safe(self.where, 120)} {safe(self.measure)}: view {self.view:,}, truth {self.truth:,}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`exact`: every number equals the truth (ideal below the cut, horizon from it on), and nothing is unaccounted for.

    `accuracy`: 1 minus the distance of the view's events from the ideal truth's, cell by cell, as
    a share of the ideal truth's events.
    """

    exact: bool
    compared_cells: int
    events: int
    accuracy: float
    duplicates_beyond_horizon: int
    unaudited: int
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
        }


def compare(answer: Answer, ledger: Ledger) -> Verdict:
    """The verdict on an answer. The ledger must have read up to the answer's vector.

    Raises `UnavailableError` where the log no longer has what the batch view covers.
    """
    vector = answer.vector
    if answer.batch is not None and ledger.sound_from:
        raise UnavailableError("the log no longer has all that the batch view covers: its truth cannot be told")
    floor = max(answer.floor, ledger.sound_from)
    ideal, expected = ledger.truths(vector, answer.cut_epoch, floor)
    cells = answer.batch.cells() if answer.batch else {}
    counters = dict(answer.batch.manifest.counters) if answer.batch else {}
    if answer.speed is not None:
        cells = merge(cells, *(part for (epoch, _), part in answer.speed.cells.items() if epoch >= floor))
        for epoch, part in answer.speed.quality.items():
            if epoch >= floor:
                for name, number in part.items():
                    counters[name] = counters.get(name, 0) + number
    true_counters = expected.counters()
    unaudited = true_counters.pop(UNAUDITED, 0)
    true_cells, ideal_cells = expected.cells(), ideal.cells()
    differences = [
        *_cell_differences(cells, true_cells),
        *_counter_differences(counters, true_counters),
        *_conservation_differences(answer),
    ]
    beyond = ideal.counters().get("duplicates", 0) - true_counters.get("duplicates", 0)
    events = sum(_events(cell) for key, cell in cells.items() if key.dimension == "all")
    return Verdict(
        exact=not differences,
        compared_cells=len(cells.keys() | true_cells.keys()),
        events=events,
        accuracy=_accuracy(cells, ideal_cells),
        duplicates_beyond_horizon=beyond,
        unaudited=unaudited,
        differences=differences,
    )


def _cell_differences(view: Cells, truth: Cells) -> list[Difference]:
    return [
        Difference(_name(key), measure, seen, true)
        for key in sorted(view.keys() | truth.keys())
        for measure, seen, true in zip(MEASURES, view.get(key, Cell()), truth.get(key, Cell()), strict=True)
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


def _accuracy(view: Cells, ideal: Cells) -> float:
    """In events of the dimension `all`, minute by minute."""
    keys = [key for key in view.keys() | ideal.keys() if key.dimension == "all"]
    true = sum(_events(ideal.get(key, Cell())) for key in keys)
    distance = sum(abs(_events(view.get(key, Cell())) - _events(ideal.get(key, Cell()))) for key in keys)
    return 1.0 if not true else max(0.0, 1 - distance / true)


def _events(cell: Cell) -> int:
    return cell.clicks + cell.sales


def _name(key: CellKey) -> str:
    value = f" {key.value!r}" if key.value else ""
    return f"{to_text(key.minute * MINUTE_MS)[:16]} {key.dimension}{value}"
