"""What columns mean, and in which unit: kept in the Parquet files, where whoever opens one finds it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa

from core.declaration.pipeline import ALL, Measure, Pipeline


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


def measure_columns(pipeline: Pipeline) -> list[Column]:
    """The columns of a pipeline's measures."""
    return [Column(each.name, pa.int64(), _meaning(each), _unit(each)) for each in pipeline.measures.values()]


def dimension_column(pipeline: Pipeline) -> Column:
    """By which dimension."""
    names = ", ".join([*pipeline.dimensions, f"or {ALL}"] if pipeline.dimensions else [ALL])
    return Column("dimension", pa.string(), f"what is counted by: {names}, which has each event, too")


def value_column(pipeline: Pipeline) -> Column:
    """Which of its values."""
    names = [
        f"{each.name} ({each.description})" if each.description else each.name for each in pipeline.dimensions.values()
    ]
    which = f"which {listed(names, 'or')}; " if names else ""
    return Column("value", pa.string(), f"{which}empty for {ALL}")


def listed(names: Sequence[str], word: str) -> str:
    """`a, b and c`."""
    return f" {word} ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _meaning(measure: Measure) -> str:
    if measure.description:
        return measure.description
    if measure.sum is None:
        where = f", where {measure.where.text}" if measure.where else ", each event once"
        return f"accepted {measure.stream}{where}"
    where = f", where {measure.where.text}" if measure.where else ""
    return f"sum of {measure.sum.text} over accepted {measure.stream}{where}"


def _unit(measure: Measure) -> str:
    return measure.unit or ("events" if measure.sum is None else "")
