"""The summary: one figure for each mode and column, with its spread over the rounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, Final, NamedTuple

from modes.catalogue import Role

Lap = Mapping[str, Any]


class Column(NamedTuple):
    """`kind`: `exact` (equal in each race with the same seed), `timed` (with a spread), or `code`."""

    name: str
    title: str
    unit: str
    kind: str
    value: Callable[[Lap], float | int | None]


def _without_producer(by_role: Mapping[str, float]) -> float:
    return sum(used for role, used in by_role.items() if role != Role.PRODUCE)


def _recovery(lap: Lap) -> float | None:
    found = lap.get("recovery")
    return None if found is None else max(seconds for role, seconds in found.items() if role != "undisturbed")


def _unrepaired(lap: Lap) -> float | None:
    found = lap.get("repair")
    if found is None or not found["sales_counted_wrong"]:
        return None
    return 100 * float(found["sales_never_repaired"]) / float(found["sales_counted_wrong"])


def _repair(lap: Lap) -> float | None:
    found = lap.get("repair")
    return None if found is None else float(found["repair_seconds"])


def _sustained(lap: Lap) -> float | None:
    found = lap.get("throughput")
    return None if found is None else float(found["sustained"])


COLUMNS: Final = (
    Column("freshness_p50", "freshness p50", "s", "timed", lambda lap: lap["freshness"]["p50"]),
    Column("freshness_p95", "freshness p95", "s", "timed", lambda lap: lap["freshness"]["p95"]),
    Column("freshness_p99", "freshness p99", "s", "timed", lambda lap: lap["freshness"]["p99"]),
    Column("query_p99", "query p99", "s", "timed", lambda lap: lap["query"]["p99"]),
    Column("accuracy", "accuracy at the end", "%", "exact", lambda lap: 100 * lap["accuracy"]["end"]),
    Column("revenue", "revenue right", "%", "exact", lambda lap: 100 * lap["counted"]["accuracy"]["revenue_cents"]),
    Column("users", "distinct users right", "%", "exact", lambda lap: 100 * lap["counted"]["accuracy"]["users"]),
    Column(
        "duplicates", "duplicates recognised", "%", "exact", lambda lap: 100 * lap["counted"]["accuracy"]["duplicates"]
    ),
    Column("late", "late events right", "%", "exact", lambda lap: 100 * lap["counted"]["accuracy"]["late"]),
    Column("records", "records", "", "exact", lambda lap: lap["counted"]["records"]),
    Column("accepted", "events counted", "", "exact", lambda lap: lap["counted"]["accepted"]),
    Column("record_bytes", "bytes produced", "MB", "exact", lambda lap: lap["record_bytes"] / 1e6),
    Column("cpu", "CPU a million events", "s", "timed", lambda lap: _without_producer(lap["cpu_s_per_million"])),
    Column("memory", "memory at the peak", "MB", "timed", lambda lap: _without_producer(lap["peak_bytes"]) / 1e6),
    Column("kafka", "in Kafka", "MB", "timed", lambda lap: lap["stored"]["kafka"] / 1e6),
    Column("redis", "in Redis", "MB", "timed", lambda lap: lap["stored"]["redis"] / 1e6),
    Column(
        "parquet", "in Parquet", "MB", "timed", lambda lap: (lap["stored"]["raw"] + lap["stored"]["views"]) / 1e6
    ),
    Column("money", "a million computed", "{currency}", "timed", lambda lap: lap["money"]["per_million"]),
    Column("month", "a month at this rate", "{currency}", "timed", lambda lap: lap["money"]["month"]),
    Column("throughput", "sustained events/s", "events/s", "timed", _sustained),
    Column("repair", "right again after error", "s", "timed", _repair),
    Column("unrepaired", "never repaired", "%", "timed", _unrepaired),
    Column("recovery", "recovered after kill -9", "s", "timed", _recovery),
    Column("processes", "processes", "", "code", lambda lap: lap["complexity"]["processes"]),
    Column("stores", "stores", "", "code", lambda lap: len(lap["complexity"]["stores"])),
    Column("lines", "lines of code", "", "code", lambda lap: lap["complexity"]["lines"]),
    Column("own_lines", "of them its own", "", "code", lambda lap: lap["complexity"]["own_lines"]),
    Column("settings", "settings that they read", "", "code", lambda lap: lap["complexity"]["settings"]),
)  # fmt: skip
BY_NAME: Final = {column.name: column for column in COLUMNS}


def summary(laps: Sequence[Lap]) -> dict[str, dict[str, dict[str, float]]]:
    """Mode to column to median, least and most; columns that were not measured are left out."""
    out: dict[str, dict[str, dict[str, float]]] = {}
    for mode in dict.fromkeys(lap["mode"] for lap in laps):
        mine = [lap for lap in laps if lap["mode"] == mode]
        out[mode] = {}
        for column in COLUMNS:
            values = [value for lap in mine if (value := column.value(lap)) is not None]
            if values:
                out[mode][column.name] = {"median": median(values), "min": min(values), "max": max(values)}
    return out


def spread(found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, float]:
    """Column to the largest distance between two rounds of a mode, as a share of the median."""
    out: dict[str, float] = {}
    for columns in found.values():
        for name, figures in columns.items():
            middle = abs(figures["median"])
            here = (figures["max"] - figures["min"]) / middle if middle else 0.0
            out[name] = round(max(out.get(name, 0.0), here), 4)
    return out
