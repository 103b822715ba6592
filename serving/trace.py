"""A trace: where the records of one event id are, what became of them, and what counts them now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from core.cells import MINUTE_MS, Cells
from core.position import PartitionKey
from core.rfc3339 import to_text
from core.verdict import Rejected


class Verdict(StrEnum):
    """What a record is found to be."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


class Place(NamedTuple):
    """Where a record is."""

    source: PartitionKey
    offset: int

    def __str__(self) -> str:
        return f"{self.source}:{self.offset}"

    def as_json(self) -> dict[str, Any]:
        """Topic, partition, offset."""
        return {"topic": self.source.topic, "partition": self.source.partition, "offset": self.offset}


class CountedBy(NamedTuple):
    """What decides on a record now: the `batch` view of `version`, or the `speed` view.

    `pending`: no view yet; `gone`: none any more; `unknown`: the views cannot be asked. `why`: of the
    last two, in words.
    """

    view: str
    version: int | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One record of the event. Times in ms.

    `verdict`: what the batch layer says, the first record in its order being the accepted one;
    `speed_verdict`: what the horizon rule of the speed layer says. They differ for a duplicate
    that comes after the horizon or in another partition. `first`: the accepted record of a
    duplicate. `by_id`: whether the document says this id; otherwise it cannot be decoded so far,
    and its bytes hold the id. `producer`: the document's `source`. `late`: None for rejected ones.
    `cells`: what the view that decides counts it in, or will; empty for duplicates and rejected.
    `redrive_of`: the rejected record that it repairs, as its document says.
    """

    place: Place
    append_ms: int
    epoch: int
    key: bytes | None
    by_id: bool
    producer: str | None
    verdict: Verdict
    speed_verdict: Verdict
    counted_by: CountedBy
    rejected: Rejected | None = None
    first: Place | None = None
    time_ms: int | None = None
    late: bool | None = None
    cells: Cells = field(default_factory=dict)
    redrive_of: str | None = None

    @property
    def differs(self) -> bool:
        """Whether the speed view decides now, and not as the batch layer will."""
        return self.counted_by.view == "speed" and self.speed_verdict is not self.verdict

    def as_json(self, measures: Sequence[str]) -> dict[str, Any]:
        """The document of one record. `measures`: by name, as in cells."""
        return {
            **self.place.as_json(),
            "appended": to_text(self.append_ms),
            "epoch": self.epoch,
            "key": None if self.key is None else self.key.decode("utf-8", "replace"),
            "producer": self.producer,
            "redrive_of": self.redrive_of,
            "found_by": "id" if self.by_id else "bytes",
            "verdict": self.verdict.value,
            "speed_verdict": self.speed_verdict.value,
            "reason": self.rejected.reason if self.rejected else None,
            "detail": self.rejected.detail if self.rejected else None,
            "first": self.first.as_json() if self.first else None,
            "event_time": None if self.time_ms is None else to_text(self.time_ms),
            "late": self.late,
            "counted_by": self.counted_by._asdict(),
            "differs": self.differs,
            "cells": [
                {
                    "minute": to_text(key.minute * MINUTE_MS),
                    "dimension": key.dimension,
                    "value": key.value,
                    **dict(zip(measures, cell, strict=True)),
                }
                for key, cell in self.cells.items()
            ],
        }


@dataclass(frozen=True, slots=True)
class Trace:
    """All records of one event, in the order of append times. `measures`: by name, as in cells."""

    event_id: str
    occurrences: Sequence[Occurrence]
    measures: Sequence[str]

    def as_json(self) -> dict[str, Any]:
        """The document of `fourfold trace --json`."""
        return {"id": self.event_id, "occurrences": [found.as_json(self.measures) for found in self.occurrences]}
