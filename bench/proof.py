"""The proof that a contender's result is right: its view against the truth at its own offsets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from redis import Redis

from adapters.lake.batch_view import BatchViews
from bench.sampler import vector_of
from bench.stock_fields import CellFields
from core.cells import Cell, CellKey, Cells
from core.delta import LATE
from core.errors import InexactError
from core.ledger import UNAUDITED, Ledger, Truth
from core.position import Vector
from modes.pipelines import pipeline_of
from modes.settings import Settings
from modes.wiring.answers import auditor
from modes.wiring.lake import view_store
from modes.wiring.speed import speed_reader
from serving.answer import Answer, merged
from serving.verify import Verdict, compare


@dataclass(frozen=True, slots=True)
class Proof:
    """What was compared; that it was equal goes without saying: otherwise there is no proof."""

    records: int
    cells: int


def ledger_at(settings: Settings, vector: Vector, progress: Callable[[int], None]) -> Ledger:
    """The truth at `vector`, read from the log. Raises `UnavailableError`."""
    with auditor(settings) as witness:
        witness.read_until(vector, progress=progress)
        # sums are all that is asked for from here on
        witness.condense(vector)
        return witness.ledger


def prove(title: str, settings: Settings, ledger: Ledger) -> Proof:
    """The product's kind of view, every cell and counter. Raises `InexactError`."""
    reader = speed_reader(settings)
    try:
        snapshot = reader.read()
    finally:
        reader.close()
    verdict = _demand_exact(title, settings, merged(pipeline_of(settings).zero, snapshot, None), ledger)
    return Proof(sum(snapshot.vector.values()), verdict.compared_cells)


def prove_stock(title: str, settings: Settings, redis: Redis, ledger: Ledger) -> Proof:
    """The stock agent's view; it knows no epochs, so each event once is its truth."""
    vector = vector_of(redis, settings.view)
    truth = ledger.ideal(vector)
    tag = f"{{{settings.view}}}"
    cells: Cells = {}
    written = CellFields(pipeline_of(settings))
    for key in redis.scan_iter(f"{tag}:cells:*"):
        fields: dict[bytes, bytes] = redis.hgetall(key)  # type: ignore[assignment]
        minute = int(key.rsplit(b":", 1)[1])
        cells |= written.cells(minute, ((name.decode(), int(number)) for name, number in fields.items()))
    counted: dict[bytes, bytes] = redis.hgetall(f"{tag}:quality")  # type: ignore[assignment]
    counters = {name.decode(): int(number) for name, number in counted.items()}
    return _prove_ideal(title, cells, counters, truth, sum(vector.values()))


def prove_answer(title: str, settings: Settings, answer: Answer) -> Proof:
    """A merged answer, every cell and counter at its own vector. Raises `InexactError`."""
    verdict = _demand_exact(title, settings, answer, ledger_at(settings, dict(answer.vector), lambda _: None))
    return Proof(sum(answer.vector.values()), verdict.compared_cells)


def prove_batch(title: str, settings: Settings, vector: Vector, ledger: Ledger) -> Proof:
    """The current version of the batch view, every cell and counter up to `vector`. Raises `InexactError`."""
    view = BatchViews(view_store(settings), pipeline_of(settings)).current()
    if view is None or view.cut.vector != vector:
        raise InexactError(f"{title}: no version up to the cut was published")
    _demand_exact(title, settings, merged(pipeline_of(settings).zero, None, view), ledger)
    return Proof(sum(view.cut.vector.values()), len(view.cells()))


def prove_cells(
    title: str, settings: Settings, file: Path, counters: Mapping[str, int], vector: Vector, ledger: Ledger
) -> Proof:
    """A Parquet file of cells (`adapters.lake.day_cells.cells_schema`), against each event once."""
    measures = list(pipeline_of(settings).measures)
    cells = {
        CellKey(row["minute"], row["dimension"], row["value"]): Cell(row[measure] for measure in measures)
        for row in pq.read_table(file).to_pylist()
    }
    return _prove_ideal(title, cells, dict(counters), ledger.ideal(vector), sum(vector.values()))


def _demand_exact(title: str, settings: Settings, answer: Answer, ledger: Ledger) -> Verdict:
    verdict = compare(answer, ledger, pipeline_of(settings))
    if not verdict.exact or verdict.unaudited:
        raise _inexact(title, [*map(str, verdict.differences[:5]), f"unaudited {verdict.unaudited}"])
    return verdict


def _prove_ideal(title: str, cells: Cells, counters: dict[str, int], truth: Truth, records: int) -> Proof:
    true_cells, true_counters = truth.cells(), truth.counters()
    # whether an event is late depends on what came before it, which the ideal truth does not say
    counters.pop(LATE, None)
    true_counters.pop(LATE, None)
    wrong = [f"{key}: {cells.get(key)}, truth {true}" for key, true in true_cells.items() if cells.get(key) != true]
    wrong += [f"{key}: {cell}, truth nothing" for key, cell in cells.items() if key not in true_cells]
    counters = {name: number for name, number in counters.items() if number}
    if counters != true_counters:
        wrong.append(f"counters {counters}, truth {true_counters}")
    if wrong or true_counters.get(UNAUDITED):
        raise _inexact(title, wrong[:5])
    return Proof(records, len(true_cells))


def _inexact(title: str, lines: list[str]) -> InexactError:
    return InexactError(f"{title}: the counts differ from the truth, so its speed says nothing:\n" + "\n".join(lines))
