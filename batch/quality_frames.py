"""The frames that quality rules look at: a bounded sample of raw records, hours, and totals.

`quality_rules.toml` lists their columns for users.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from core.cells import LARGEST, MEASURES, ZERO, Cell
from core.contract import DECODE_ERRORS
from core.events import TOPICS, ClickData, SaleData
from core.rfc3339 import millis

#: Rows of a topic in the sample.
SAMPLE_ROWS: Final = 25_000
_MINUTES_AN_HOUR: Final = 60
_PLACE: Final = ("topic", "partition", "offset", "append_ms")
_OUTER: Final = ("id", "type")
_DATA: Final = tuple(dict.fromkeys((*ClickData.__struct_fields__, *SaleData.__struct_fields__)))
_LONGEST: Final = 200


class RawPart(NamedTuple):
    """Raw rows of one partition, in the order of offsets: columns offset, append_ms, value (bytes) and others."""

    topic: str
    partition: int
    batches: Iterable[pa.RecordBatch]


def sample_frames(parts: Iterable[RawPart], *, limit: int = SAMPLE_ROWS) -> dict[str, pd.DataFrame]:
    """The newest raw records of each topic, at most `limit` of it, before validation: by topic.

    Fields have the values that were sent, whatever their type; null where there is none, and in
    all fields where the record is no JSON object. A list or an object is its JSON as bytes.
    """
    tables: dict[str, list[pa.Table]] = {topic: [] for topic in TOPICS}
    for part in parts:
        newest = _newest(part.batches, limit)
        if newest is not None:
            numbers = pa.repeat(pa.scalar(part.partition, pa.int32()), newest.num_rows)
            tables.setdefault(part.topic, []).append(newest.append_column("partition", numbers))
    return {topic: _frame(topic, found, limit) for topic, found in tables.items()}


def hours_frame(minutes: Mapping[int, Cell]) -> pd.DataFrame:
    """A row for each hour of event time with accepted events. `minutes`: the cells of the dimension `all`."""
    hours: dict[int, Cell] = {}
    for minute, cell in minutes.items():
        hour = minute // _MINUTES_AN_HOUR
        hours[hour] = hours.get(hour, ZERO).plus(cell)
    rows = [(hour, cell.clicks + cell.sales, *cell) for hour, cell in sorted(hours.items())]
    # an hour may hold more than a minute: above 64 bits its numbers are no longer exact, which rules do not mind
    fits = all(number <= LARGEST for row in rows for number in row)
    return pd.DataFrame(rows, columns=["hour", "accepted", *MEASURES], dtype="int64" if fits else "float64")


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


def _frame(topic: str, tables: list[pa.Table], limit: int) -> pd.DataFrame:
    columns = [*_PLACE, *_OUTER, "time_ms", *_DATA]
    if not tables:
        return pd.DataFrame({name: pd.Series(dtype="object") for name in columns})
    table = pa.concat_tables(tables)
    table = table.take(pc.sort_indices(table, sort_keys=[("append_ms", "ascending")])[-limit:])
    decode = msgspec.json.Decoder().decode
    fields = zip(*(_fields(decode, value) for value in table["value"].to_pylist()), strict=True)
    frame = {
        "topic": [topic] * table.num_rows,
        "partition": table["partition"].to_numpy(),
        "offset": table["offset"].to_numpy(),
        "append_ms": table["append_ms"].to_numpy(),
    }
    for name in (*_OUTER, "time_ms", *_DATA):
        frame[name] = pd.Series(next(fields, ()), dtype="object")
    return pd.DataFrame(frame, columns=columns)


def _fields(decode: Any, value: bytes | None) -> list[Any]:
    """`_OUTER`, time_ms and `_DATA` of one record."""
    try:
        document = decode(value)
    except DECODE_ERRORS:
        document = None
    if not isinstance(document, dict):
        document = {}
    data = document.get("data")
    if not isinstance(data, dict):
        data = {}
    sent = document.get("time")
    try:
        time_ms = millis[sent] if isinstance(sent, str) else None
    except ValueError:
        time_ms = None
    return [
        *(_plain(document.get(name)) for name in _OUTER),
        time_ms,
        *(_plain(data.get(name)) for name in _DATA),
    ]


def _plain(value: Any) -> Any:
    return msgspec.json.encode(value)[:_LONGEST] if isinstance(value, list | dict) else value
