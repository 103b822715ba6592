"""ETL against ELT: both ways from the same raw rows to the same cells, measured, and what can be asked afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

from adapters.effort import Effort, effort_of
from adapters.lake.plain_path import plain
from adapters.lake.raw_table import RawTable
from adapters.lake.trouble import DamagedRawError, reading, writing
from batch import elt, etl
from batch.expression_sql import literal, quoted
from batch.scratch import Scratch
from batch.sql import connect, count_cells, define_macros, read_parquet
from core.cut import Cut
from core.declaration.pipeline import Field, Pipeline, Stream
from core.delta import REJECTED
from core.errors import InexactError, UnavailableError
from core.position import PartitionKey
from core.rules import Rules

#: A partition, its first offset and the one after its last.
Span = tuple[PartitionKey, int, int]

QUESTION: Final = "cells and distinct users by minute"
_TABLES: Final = ("cells", "users")
#: What typed columns cannot tell: a field that nobody asked for (`unasked_field`), and what was rejected.
_FIELD: Final = """
    SELECT value AS {field}, count(*) AS {stream} FROM {objects}
    GROUP BY ALL ORDER BY {stream} DESC, {field} LIMIT 3
"""
_DOCUMENTS: Final = """(
    SELECT decode(value) AS value FROM raw JOIN events USING (topic, partition, "offset")
    WHERE topic = {topic} AND counted
)"""
_PART: Final = "(SELECT texts_of(value, json_keys(value), ['$.' || {part}])[1] AS value FROM {objects})"
_REJECTED: Final = """
    SELECT reason, count(*) AS records, arg_min(value, (topic, partition, "offset"))[:500] AS first
    FROM raw JOIN events USING (topic, partition, "offset")
    WHERE reason IS NOT NULL GROUP BY ALL ORDER BY records DESC, reason
"""
_REJECTED_QUESTION: Final = "what was rejected, and how it looked"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a way; `stored`: bytes that it left, None where it stores nothing."""

    name: str
    effort: Effort
    stored: int | None


@dataclass(frozen=True, slots=True)
class RawQuestion:
    """A question that only raw rows answer, asked after the load."""

    question: str
    effort: Effort
    columns: Sequence[str]
    answer: Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both ways over so many raw rows, in order of their steps; both gave the same `cells`."""

    rows: int
    accepted: int
    cells: int
    processes: int
    etl: Sequence[Step]
    elt: Sequence[Step]
    raw_questions: Sequence[RawQuestion]

    def as_json(self) -> dict[str, Any]:
        """The document of `fourfold compare etl-elt --json`; seconds and bytes."""
        again = total(self.etl[:-1]).effort
        return {
            "rows": self.rows,
            "accepted": self.accepted,
            "cells": self.cells,
            "processes": self.processes,
            "question": QUESTION,
            "etl": _way(self.etl),
            "elt": _way(self.elt),
            "raw_access": [
                {
                    "question": asked.question,
                    "elt": asked.effort._asdict(),
                    "etl": {"kept": False, "load_again": again._asdict()},
                    "columns": list(asked.columns),
                    "answer": [list(row) for row in asked.answer],
                }
                for asked in self.raw_questions
            ],
        }


def total(steps: Sequence[Step]) -> Step:
    """All steps as one."""
    effort = Effort()
    for step in steps:
        effort = effort.plus(step.effort)
    return Step("total", effort, sum(step.stored or 0 for step in steps))


def unasked_field(pipeline: Pipeline) -> tuple[Stream, Field] | None:
    """A text of one stream alone that nothing is counted by or of; None where there is none."""
    asked = {name for dimension in pipeline.dimensions.values() for name in dimension.fields}
    asked |= {distinct.field for distinct in pipeline.distinct.values()}
    for stream in pipeline.streams.values():
        others = {name for other in pipeline.streams.values() if other is not stream for name in other.fields}
        for field in stream.fields.values():
            if field.type.kind == "string" and field.name not in asked | others and field.name != stream.key:
                return stream, field
    return None


def _raw_questions(pipeline: Pipeline) -> list[tuple[str, str]]:
    """Question and SQL."""
    questions = [(_REJECTED_QUESTION, _REJECTED)]
    found = unasked_field(pipeline)
    if found is not None:
        stream, field = found
        objects = _DOCUMENTS.format(topic=literal(stream.name))
        for part in field.path:
            objects = _PART.format(part=literal(part), objects=objects)
        sql = _FIELD.format(field=quoted(field.name), stream=quoted(stream.name), objects=objects)
        questions.insert(0, (f"{stream.name} by {field.name}, the first three", sql))
    return questions


class EtlElt:
    """Compares on what is archived now. Its files are in a folder inside `folder` while it runs."""

    def __init__(self, raw: RawTable, folder: Path, rules: Rules, processes: int, pipeline: Pipeline) -> None:
        """`processes`: as many processes of ours, or threads of DuckDB."""
        self._raw = raw
        self._folder = folder
        self._rules = rules
        self._processes = processes
        self._pipeline = pipeline

    def run(self, progress: Callable[[str], None] = lambda _: None) -> Comparison:
        """Both ways, one after the other. `progress` hears what is done next.

        Raises `UnavailableError` where nothing is archived, `InexactError` where the ways differ, `LakeError` where a file
        is damaged, or nothing can be written.
        """
        firsts = self._raw.firsts()
        spans = [(s, firsts[s], end) for s, end in sorted(self._raw.positions().items()) if firsts[s] < end]
        if not spans:
            raise UnavailableError("no records are archived to compare on: `fourfold batch --once` archives")
        # otherwise the way that comes second would find in memory what the first one had to fetch
        progress("reading the raw files once")
        for file in chain.from_iterable(self._raw.files().values()):
            with reading(Path(file), DamagedRawError):
                Path(file).read_bytes()
        with writing(self._folder):
            return self._compare(spans, progress)

    def _compare(self, spans: Sequence[Span], progress: Callable[[str], None]) -> Comparison:
        self._folder.mkdir(parents=True, exist_ok=True)
        with Scratch(plain(self._folder)) as scratch:
            places = _Places(scratch.path)
            progress("ETL")
            etl_steps, rejected = self._etl(places, spans)
            progress("ELT")
            elt_steps = self._elt(places, spans)
            progress("comparing what they say")
            asked = [self._ask(places, *question) for question in _raw_questions(self._pipeline)]
            rows, accepted, cells = self._proved_equal(places, rejected, asked[-1].answer)
        archived = sum(self._raw.rows_below({source: end for source, _, end in spans}).values())
        if rows != archived:
            raise InexactError(f"both ways read {rows:,} of {archived:,} raw rows")
        return Comparison(rows, accepted, cells, self._processes, etl_steps, elt_steps, asked)

    def _etl(self, places: _Places, spans: Sequence[Span]) -> tuple[list[Step], Counter[str]]:
        tasks = [
            etl.TypingTask(self._raw.path, *span, self._rules, self._pipeline, places.staged / f"{number}.parquet")
            for number, span in enumerate(spans)
        ]
        typing, counters = effort_of(lambda: etl.transform(tasks, _rows(spans), self._processes))
        files = [task.file for task in tasks]
        loading, _ = effort_of(lambda: etl.load(files, places.typed, places.folder, self._processes))
        for file in files:
            file.unlink()
        asking, _ = effort_of(lambda: self._count(places, places.typed, "*, true AS counted", places.etl))
        steps = [
            Step("validate, type", typing, None),
            Step("load, each event once", loading, places.typed.stat().st_size),
            Step(f"ask: {QUESTION}", asking, None),
        ]
        return steps, Counter({name: count for name, count in counters.items() if name.startswith(REJECTED)})

    def _elt(self, places: _Places, spans: Sequence[Span]) -> list[Step]:
        tasks = [
            elt.LoadingTask(self._raw.path, *span, self._pipeline.topics, places.raw / f"{number}.parquet")
            for number, span in enumerate(spans)
        ]
        loading, _ = effort_of(lambda: elt.load(tasks, _rows(spans), self._processes))
        files = {task.source: task.file for task in tasks}
        transforming, _ = effort_of(
            lambda: elt.transform(
                files, places.judged, _cut(spans), self._rules, self._pipeline, places.folder, self._processes
            )
        )
        asking, _ = effort_of(lambda: self._count(places, places.judged, "*", places.elt))
        return [
            Step("load raw rows", loading, sum(file.stat().st_size for file in files.values())),
            Step("validate, type, find duplicates in SQL", transforming, places.judged.stat().st_size),
            Step(f"ask: {QUESTION}", asking, None),
        ]

    def _count(self, places: _Places, events: Path, columns: str, answer: Path) -> None:
        """The question, the same SQL in both ways: cells and users of `events`, into the folder `answer`."""
        with connect(places.folder, self._processes) as database:
            read_parquet(database, [str(events)]).project(columns).create_view("events")
            count_cells(database, self._pipeline)
            for name in _TABLES:
                database.table(name).write_parquet(str(answer / f"{name}.parquet"))

    def _ask(self, places: _Places, question: str, sql: str) -> RawQuestion:
        def ask() -> tuple[list[str], list[tuple[Any, ...]]]:
            with connect(places.folder, self._processes) as database:
                define_macros(database)
                read_parquet(database, [str(file) for file in places.raw.iterdir()]).create_view("raw")
                read_parquet(database, [str(places.judged)]).create_view("events")
                answer = database.execute(sql)
                return [column[0] for column in answer.description or ()], answer.fetchall()

        effort, (columns, rows) = effort_of(ask)
        return RawQuestion(question, effort, columns, [tuple(map(_readable, row)) for row in rows])

    def _proved_equal(
        self, places: _Places, rejected: Counter[str], answer: Sequence[Sequence[Any]]
    ) -> tuple[int, int, int]:
        """How many rows there are, events that count, and cells. Raises `InexactError`."""
        if rejected != {REJECTED + reason: count for reason, count, _ in answer}:
            raise InexactError(f"ETL rejects {dict(rejected)}, ELT {answer}")
        with connect(places.folder, self._processes) as database:
            for name in _TABLES:
                mine, other = (
                    read_parquet(database, [str(folder / f"{name}.parquet")]) for folder in (places.etl, places.elt)
                )
                differing = mine.except_(other).union(other.except_(mine)).limit(1).fetchall()
                if differing:
                    raise InexactError(f"ETL and ELT differ in {name}, first at {differing[0]}")
            judged = read_parquet(database, [str(places.judged)])
            (rows, accepted), *_ = judged.aggregate("count(*), count(*) FILTER (counted)").fetchall()
            return rows, accepted, len(read_parquet(database, [str(places.etl / "cells.parquet")]))


class _Places:
    """Where what is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.typed = folder / "typed.parquet"
        self.judged = folder / "judged.parquet"
        self.staged, self.raw, self.etl, self.elt = (folder / name for name in ("staged", "raw", "etl", "elt"))
        for made in (self.staged, self.raw, self.etl, self.elt):
            made.mkdir()


def _rows(spans: Sequence[Span]) -> int:
    return sum(end - start for _, start, end in spans)


def _cut(spans: Sequence[Span]) -> Cut:
    """Behind all that is compared; no version comes of it, so its epoch is of no use."""
    return Cut(0, {source: end for source, _, end in spans})


def _readable(value: Any) -> Any:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def _way(steps: Sequence[Step]) -> dict[str, Any]:
    return {
        "steps": [_step(step) for step in steps],
        "total": _step(total(steps)),
    }


def _step(step: Step) -> dict[str, Any]:
    return {"name": step.name, **step.effort._asdict(), "stored_bytes": step.stored}
