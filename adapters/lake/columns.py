"""What columns mean, and in which unit: kept in the Parquet files, where whoever opens one finds it."""

from __future__ import annotations

import json
from typing import Final, NamedTuple

import pyarrow as pa


class Column(NamedTuple):
    """A column of a file. `unit`: empty where it is no number or time."""

    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""


def schema_of(*columns: Column) -> pa.Schema:
    """The schema that says it: `description` and `unit` of each field, and all in one text, `columns`, for readers of
    Parquet that know nothing of Arrow's fields.
    """  # noqa: D205 - one sentence
    fields = []
    said = {}
    for column in columns:
        about = {"description": column.meaning} | ({"unit": column.unit} if column.unit else {})
        fields.append(pa.field(column.name, column.type, metadata=about))
        said[column.name] = f"{column.meaning} ({column.unit})" if column.unit else column.meaning
    return pa.schema(fields, {"columns": json.dumps(said)})


#: Of what `core.cells` counts.
MEASURE_COLUMNS: Final = {
    "clicks": Column("clicks", pa.int64(), "accepted clicks, each event once", "events"),
    "sales": Column("sales", pa.int64(), "accepted sales, each event once", "events"),
    "units": Column("units", pa.int64(), "units sold", "units"),
    "revenue_cents": Column("revenue_cents", pa.int64(), "revenue of these sales", "EUR cents"),
}
