"""The frames that quality rules look at: a bounded sample of raw records, hours, and totals.

`pipelines/quality/shop.toml` lists their columns for users.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from core.cells import LARGEST, Cell
from core.contract import DECODE_ERRORS
from core.declaration.pipeline import TIME_UNITS, Envelope, Path, Pipeline
from core.event_counts import events_of
from core.rfc3339 import millis

#: Rows of a topic in the sample.
SAMPLE_ROWS: Final = 25_000
_MINUTES_AN_HOUR: Final = 60
_PLACE: Final = ("topic", "partition", "offset", "append_ms")
_LONGEST: Final = 200


class RawPart(NamedTuple):
    """Raw rows of one partition, in the order of offsets: columns offset, append_ms, value (bytes) and others."""

    topic: str
    partition: int
    batches: Iterable[pa.RecordBatch]


def sample_frames(parts: Iterable[RawPart], pipeline: Pipeline, *, limit: int = SAMPLE_ROWS) -> dict[str, pd.DataFrame]:
    """The newest raw records of each topic, at most `limit` of it, before validation: by topic.

    Fields have the values that were sent, whatever their type; null where there is none, and in
    all fields where the record is no JSON object. A list or an object is its JSON as bytes.
    """
    sample = _Sample(pipeline, limit)
    tables: dict[str, list[pa.Table]] = {topic: [] for topic in pipeline.topics}
    for part in parts:
        newest = _newest(part.batches, limit)
        if newest is not None:
            numbers = pa.repeat(pa.scalar(part.partition, pa.int32()), newest.num_rows)
            tables.setdefault(part.topic, []).append(newest.append_column("partition", numbers))
    return {topic: sample.frame(topic, found) for topic, found in tables.items()}


def hours_frame(minutes: Mapping[int, Cell], pipeline: Pipeline) -> pd.DataFrame:
    """A row for each hour of event time with accepted events. `minutes`: the cells of the dimension `all`."""
    hours: dict[int, Cell] = {}
    for minute, cell in minutes.items():
        hour = minute // _MINUTES_AN_HOUR
        hours[hour] = hours.get(hour, pipeline.zero).plus(cell)
    events = events_of(pipeline)
    rows = [(hour, events(cell), *cell) for hour, cell in sorted(hours.items())]
    # an hour may hold more than a minute: above 64 bits its numbers are no longer exact, which rules do not mind
    fits = all(number <= LARGEST for row in rows for number in row)
    return pd.DataFrame(rows, columns=["hour", "accepted", *pipeline.measures], dtype="int64" if fits else "float64")


def totals_frame(counters: Mapping[str, int]) -> pd.DataFrame:
    """One row, of a manifest's counters. Shares are 0 to 1, null where there is nothing to share."""
    accepted, duplicates, late = (counters.get(name, 0) for name in ("accepted", "duplicates", "late"))
    rejected = sum(number for name, number in counters.items() if name.startswith("rejected:"))
    records = accepted + duplicates + rejected
    row = {
        "records": records,
        "accepted": accepted,
        "duplicates": duplicates,
        "late": late,
        "rejected": rejected,
        "duplicate_share": duplicates / records if records else None,
        "late_share": late / accepted if accepted else None,
        "rejected_share": rejected / records if records else None,
    }
    return pd.DataFrame([row])


def _newest(batches: Iterable[pa.RecordBatch], limit: int) -> pa.Table | None:
    kept: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        kept.append(batch.select(["offset", "append_ms", "value"]))
        rows += batch.num_rows
        while rows - kept[0].num_rows >= limit:
            rows -= kept.pop(0).num_rows
    if not kept:
        return None
    table = pa.Table.from_batches(kept)
    return table.slice(max(0, table.num_rows - limit))


class _Sample:
    """What is looked at of a record: the same columns for each topic, whatever its fields."""

    def __init__(self, pipeline: Pipeline, limit: int) -> None:
        self._limit = limit
        self._envelope: Envelope = pipeline.envelope
        identity = self._envelope.id
        self._paths: dict[str, Path | None] = {
            "id": None if identity is None else identity.path,
            "type": ("type",) if self._envelope.cloudevents else None,
        }
        self._data = {name: f.path for stream in pipeline.streams.values() for name, f in stream.fields.items()}
        self._columns = [*self._paths, "time_ms", *self._data]

    def frame(self, topic: str, tables: list[pa.Table]) -> pd.DataFrame:
        """The newest rows of a topic."""
        columns = [*_PLACE, *self._columns]
        if not tables:
            return pd.DataFrame({name: pd.Series(dtype="object") for name in columns})
        table = pa.concat_tables(tables)
        table = table.take(pc.sort_indices(table, sort_keys=[("append_ms", "ascending")])[-self._limit :])
        decode = msgspec.json.Decoder().decode
        rows = zip(table["value"].to_pylist(), table["append_ms"].to_pylist(), strict=True)
        fields = zip(*(self._fields(decode, *row) for row in rows), strict=True)
        frame = {
            "topic": [topic] * table.num_rows,
            "partition": table["partition"].to_numpy(),
            "offset": table["offset"].to_numpy(),
            "append_ms": table["append_ms"].to_numpy(),
        }
        for name in self._columns:
            frame[name] = pd.Series(next(fields, ()), dtype="object")
        return pd.DataFrame(frame, columns=columns)

    def _fields(self, decode: Any, value: bytes | None, append_ms: int) -> list[Any]:
        """The values of one record, in the order of columns."""
        try:
            document = decode(value)
        except DECODE_ERRORS:
            document = None
        outer = [None if path is None else _at(document, path) for path in self._paths.values()]
        return [*outer, self._time(document, append_ms), *(_at(document, path) for path in self._data.values())]

    def _time(self, document: Any, append_ms: int) -> int | None:
        form = self._envelope.time_format
        if self._envelope.time is None:
            return append_ms
        sent = _at(document, self._envelope.time)
        if form == "rfc3339":
            try:
                return millis[sent] if isinstance(sent, str) else None
            except ValueError:
                return None
        multiplier, divisor = TIME_UNITS[form]
        return sent * multiplier // divisor if type(sent) is int else None


def _at(document: Any, path: Path) -> Any:
    """What a document has at a path, None where it has nothing; a list or an object as JSON."""
    for part in path:
        document = document.get(part) if isinstance(document, dict) else None
    return msgspec.json.encode(document)[:_LONGEST] if isinstance(document, list | dict) else document
