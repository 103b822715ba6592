"""The funnel of a day: how many records came in each hour, are valid, and are left without duplicates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from core.kernel.kernel import Kernel
from core.position import PartitionKey
from core.verdict import Rejected

HOURS: Final = 24


class Label(NamedTuple):
    """Which hour of the day a record of the log says that it belongs to, 0..23."""

    source: PartitionKey
    offset: int
    hour: int


class RawRow(NamedTuple):
    """A row of the raw table; in the order of the batch layer when sorted."""

    append_ms: int
    source: PartitionKey
    offset: int
    value: bytes | None


class Stage(NamedTuple):
    """Counts of records: in the log, after validation, after transformation (no duplicates)."""

    source: int = 0
    valid: int = 0
    unique: int = 0

    @property
    def loss(self) -> float:
        """The share of the source that is not left; 0 for an empty hour."""
        return (self.source - self.unique) / self.source if self.source else 0.0

    def as_json(self) -> dict[str, Any]:
        """Counts, and the loss in percent."""
        return {**self._asdict(), "loss_percent": round(100 * self.loss, 4)}


class Funnel(NamedTuple):
    """`hours`: 24 of them. `missing`: records of the log less their rows in the raw table, below 0 where a row is there twice.
    `rejected`: reason to number, the most frequent first.
    """  # noqa: D205 - a list

    hours: tuple[Stage, ...]
    missing: int
    rejected: Mapping[str, int] = {}

    @property
    def total(self) -> Stage:
        """The sum of all hours."""
        return Stage(*(sum(column) for column in zip(*self.hours, strict=True)))

    def as_json(self) -> dict[str, Any]:
        """The document that is printed."""
        return {
            "hours": [{"hour": hour, **stage.as_json()} for hour, stage in enumerate(self.hours)],
            "total": self.total.as_json(),
            "missing": self.missing,
        }


def measure(labels: Iterable[Label], rows: Iterable[RawRow], kernel: Kernel) -> Funnel:
    """Counts labels, and decides by the rows what becomes of their records.

    `labels`: of the records that are counted. `rows`: in the order in which the batch layer decides
    which of several records of one event is the first; those without a label count for nothing,
    but may be the first. Labels and rows are joined by (topic, partition, offset).
    """
    source, valid, unique = ([0] * HOURS for _ in Stage._fields)
    hours: dict[PartitionKey, dict[int, int]] = {}
    for label in labels:
        source[label.hour] += 1
        hours.setdefault(label.source, {})[label.offset] = label.hour
    none: Mapping[int, int] = {}
    ids: set[Any] = set()
    joined = 0
    rejected: Counter[str] = Counter()
    for row in rows:
        hour = hours.get(row.source, none).get(row.offset)
        joined += hour is not None
        try:
            stream = kernel[row.source.topic]
            event = stream.decide.one(row.value, row.append_ms)[1]
        except Rejected as error:
            if hour is not None:
                rejected[error.reason] += 1
            continue
        event_id = stream.identity(event) if stream.identity else (row.source, row.offset)
        if kernel.pipeline.envelope.ids_of_streams:
            event_id = (row.source.topic, event_id)
        first = event_id not in ids
        ids.add(event_id)
        if hour is not None:
            valid[hour] += 1
            unique[hour] += first
    return Funnel(tuple(map(Stage, source, valid, unique)), sum(source) - joined, dict(rejected.most_common()))
