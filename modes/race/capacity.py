"""Capacity: what a load needs, from the unit costs that a race has measured, with the formula of each figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Final, NamedTuple

import numpy as np

from core.cells import MINUTE_MS
from core.errors import ConfigurationError
from modes.catalogue import MODES, Mode, Retention, Role
from modes.race.prices import window_kept_s

#: A core is planned to be busy for this share of the time: the rest is for peaks and for catching up.
BUSY: Final = 0.6
#: Bytes of memory for an event id that is remembered (decision 9).
ID_BYTES: Final = 137
#: More partitions than workers, so that workers can be added.
HEADROOM: Final = 2
LEAST_PARTITIONS: Final = 4
#: The largest load that is planned for.
MOST: Final = 1_000_000.0
#: A line needs so many points.
_LEAST_POINTS: Final = 2
_GB: Final = 1e9


class Line(NamedTuple):
    """`amount` in `unit`; `formula`: with its numbers in place."""

    what: str
    amount: float
    unit: str
    formula: str


@dataclass(frozen=True, slots=True)
class Load:
    """`keys`: different values of all dimensions. `history_s`: how long Kafka, Redis or Parquet keep what they keep."""

    events_per_second: float
    keys: int
    history_s: float
    replication: int = 1


@dataclass(frozen=True, slots=True)
class Capacity:
    """`valid`: in which range the unit costs were measured, and how far this load is outside of it.

    `open`: what cannot be planned from this report, and why.
    """

    mode: str
    lines: Sequence[Line]
    valid: str
    beyond: float
    open: Sequence[str] = ()


def plan(document: Mapping[str, Any], mode: str, load: Load, window_s: float) -> Capacity:
    """For one mode. `window_s`: of streaming. Raises `ConfigurationError` where the race did not measure it."""
    laps = [lap for lap in document["laps"] if lap["mode"] == mode]
    if not laps:
        raise ConfigurationError(f"the race did not measure {mode}: run `fourfold race --modes {mode}`")
    if not 1 <= load.events_per_second <= MOST:
        raise ConfigurationError(f"--events-per-second: from 1 to {MOST:,.0f}")
    unit = _Unit(document, laps[-1], MODES[mode])
    lines = [*unit.cores(load), *unit.memory(load, window_s), *unit.storage(load, window_s)]
    levels = laps[-1].get("throughput", {}).get("levels", [])
    measured = [document["plan"]["rate"], *(level["rate"] for level in levels)]
    beyond = load.events_per_second / max(measured)
    cores = document["machine"]["cores"]
    valid = f"measured from {min(measured):,.0f} to {max(measured):,.0f} events/s on {cores} cores"
    if beyond > 1:
        valid += (
            f"; this load is {beyond:.1f} times that, and it is assumed that cost goes on growing with the events and that "
            "partitions spread them evenly"
        )
    return Capacity(mode, lines, valid, round(max(0.0, beyond), 2), unit.open())


class _Unit:
    """Unit costs of one lap."""

    def __init__(self, document: Mapping[str, Any], lap: Mapping[str, Any], row: Mode) -> None:
        self._row = row
        self._cpu: Mapping[str, float] = lap["cpu_s_per_million"]
        self._events = document["plan"]["events"]
        self._stored: Mapping[str, int] = lap["stored"]
        #: None in reports of races that did not count them yet
        self._cells: int | None = lap.get("speed_cells")
        self._peak: Mapping[str, int] = lap["peak_bytes"]
        self._levels: Sequence[Mapping[str, Any]] = lap.get("throughput", {}).get("levels", ())
        self._rate: float = document["plan"]["rate"]

    def _busy(self, role: str, n: float) -> tuple[float, str]:
        """Cores that a role takes at `n` events/s, and how that is known: a line through the loads that were measured."""
        used = self._cpu.get(role, 0.0)
        known = [(self._rate, self._rate * used / 1e6)]
        known += [(level["rate"], level["cores"].get(role, 0.0)) for level in self._levels]
        if len(known) < _LEAST_POINTS:
            return n * used / 1e6, f"{n:,.0f}/s x {used:.1f} CPU s per million, at most: it was measured at one rate"
        rates, cores = zip(*known, strict=True)
        slope, start = (max(0.0, float(each)) for each in np.polyfit(rates, cores, 1))
        return start + slope * n, f"{start:.2f} + {n:,.0f}/s x {slope * 1e6:.1f} us of CPU"

    def cores(self, load: Load) -> list[Line]:
        """Workers, partitions, and cores of the other parts."""
        n = load.events_per_second
        out = []
        for role, what in (
            (str(Role.PROCESS), "workers"), (str(Role.BATCH), "batch processes"), ("kafka", "cores of Kafka"), ("redis", "cores of Redis"),
        ):  # fmt: skip
            if role not in self._cpu or (role == "redis" and not self._row.speed_view):
                continue
            busy, says = self._busy(role, n)
            amount = max(1, ceil(round(busy / BUSY, 6)))
            out.append(Line(what, amount, "", f"({says}) / {BUSY:g} busy"))
            if role == Role.PROCESS:
                partitions = max(LEAST_PARTITIONS, HEADROOM * amount)
                out.append(
                    Line(
                        "partitions",
                        partitions,
                        "of each topic",
                        f"max({LEAST_PARTITIONS}, {HEADROOM} x {amount} workers)",
                    )
                )
        return out

    def memory(self, load: Load, window_s: float) -> list[Line]:
        """Of the workers, and of Redis."""
        row, n = self._row, load.events_per_second
        if not row.speed_view:
            return []
        remembered_s = row.epoch_seconds * (row.horizon_epochs + 1)
        base = self._peak.get(str(Role.PROCESS), 0) / _GB
        workers = max(1, ceil(round(self._busy(str(Role.PROCESS), n)[0] / BUSY, 6)))
        ids = n * remembered_s * ID_BYTES / _GB
        kept_s, says = self._speed_state(load, window_s)
        minutes = max(1.0, kept_s * 1000 / MINUTE_MS)
        of_workers = Line(
            "memory of the workers", round(base * workers + ids, 2), "GB",
            f"{workers} x {base:.2f} GB + {n:,.0f}/s x {remembered_s} s remembered x {ID_BYTES} B an id",
        )  # fmt: skip
        if self._cells is None:
            return [of_workers]
        each = self._stored["redis"] / max(1, self._cells)
        # at most: a minute has more epochs in a race, and each has a cell of its own
        redis = load.keys * minutes * each / _GB
        of_redis = Line(
            "memory of Redis", round(redis, 2), "GB",
            f"{load.keys:,} keys x {minutes:,.0f} min ({says}) x {each:.0f} B a cell, at most",
        )  # fmt: skip
        return [of_workers, of_redis]

    def open(self) -> list[str]:
        """What this report does not tell."""
        if self._row.speed_view and self._cells is None:
            return ["memory of Redis: this report's race did not count Redis' cells yet; `fourfold race` does"]
        return []

    def storage(self, load: Load, window_s: float) -> list[Line]:
        """Kafka's disk, and Parquet."""
        n, row = load.events_per_second, self._row
        kafka = self._stored["kafka"] / self._events
        kept_s = load.history_s if row.retention is Retention.EVERYTHING else window_kept_s(window_s / 3600)
        out = [
            Line(
                "disk of Kafka", round(n * kept_s * kafka * load.replication / _GB, 1), "GB",
                f"{n:,.0f}/s x {kept_s / 3600:,.0f} h x {kafka:.0f} B an event x {load.replication} replicas",
            )
        ]  # fmt: skip
        if row.archive:
            raw, views = self._stored["raw"] / self._events, self._stored["views"] / self._events
            amount = n * load.history_s * (raw + views) / _GB
            out.append(
                Line(
                    "Parquet",
                    round(amount, 1),
                    "GB",
                    f"{n:,.0f}/s x {load.history_s / 3600:,.0f} h x ({raw:.0f} B raw + {views:.0f} B views)",
                )
            )
        return out

    def _speed_state(self, load: Load, window_s: float) -> tuple[float, str]:
        if self._row.speed_expires:
            return window_s, "the window"
        if self._row.batch_view:
            # the floor rises one version late (decision 9)
            return 3 * 60.0, "three batch cycles"
        return load.history_s, "all history"
