"""Trips of rented bikes: a small pipeline with no word of the shop, and records of it with what they must count for."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from core.cells import Cell, CellKey, Cells
from core.declaration.pipeline import Pipeline
from core.declaration.reader import read
from core.kernel.kernel import Kernel
from core.position import PartitionKey
from tests.support.events import NOW_MS
from tests.support.raw_log import Row

TRIPS: Final[Pipeline] = read(
    b"""
name = "trips"
description = "Trips of rented bikes"

[envelope]
id = "/trip_id"
time = "/started_ms"
time_format = "epoch_ms"

[types]
bike  = { type = "string", minLength = 1, maxLength = 20 }
money = { type = "decimal", scale = 2, minimum = -50, maximum = 500 }

[streams.trips]
key = "bike"
fields.bike   = { type = "bike" }
fields.town   = { type = "string", enum = ["Rome", "Oslo", "Bern"] }
fields.metres = { type = "integer", minimum = 0, maximum = 1_000_000 }
fields.fare   = { type = "money", optional = true }
fields.member = { type = "boolean", optional = true }
fields.note   = { type = "string", maxLength = 10, optional = true }
require.too_far = "metres < 900000"

[streams.checks]
key = "bike"
fields.bike = { type = "bike" }
fields.cost = { type = "money" }

[dimensions]
bike   = { by = "bike", open = true, label = "Bikes" }
town   = "town"
member = "town, member"

[measures]
trips  = { count = "trips" }
metres = { of = "trips", sum = "metres", unit = "metres", detail = true }
long   = { count = "trips", where = "metres > 5000" }
fares  = { of = "trips", sum = "fare", unit = "CHF cents" }
checks = { count = "checks" }
costs  = { of = "checks", sum = "cost", unit = "CHF cents", label = "upkeep" }

[distinct]
bikes = "bike"

[logics.half]
measures.costs = { of = "checks", sum = "cost - cost" }
""",
    "trips.toml",
)
TRIPS_KERNEL: Final = Kernel(TRIPS)
TRIPS_0, CHECKS_0 = PartitionKey("trips", 0), PartitionKey("checks", 0)


@dataclass
class Rides:
    """Records in the order of append times, and what each event counts for once."""

    log: list[Row] = field(default_factory=list)
    cells: Cells = field(default_factory=dict)
    counters: Counter[str] = field(default_factory=Counter)
    bikes: set[tuple[int, str]] = field(default_factory=set)


def rides(count: int, seed: int = 1) -> Rides:
    """So many records: events, repetitions, and records that are rejected."""
    draw = random.Random(seed)
    found, ends, made = Rides(), Counter[PartitionKey](), Counter[PartitionKey]()

    def send(source: PartitionKey, document: Any, append_ms: int) -> None:
        value = json.dumps(document).encode()
        found.log.append(Row(source, ends[source], append_ms, b"bike", value))
        ends[source] += 1

    for number in range(count):
        append_ms = NOW_MS + 10 * number
        bike = f"bike-{draw.randrange(5)}"
        document: dict[str, Any] = {
            "trip_id": "",
            "started_ms": append_ms - draw.randrange(90_000),
            "bike": bike,
        }
        if draw.random() < 0.2:
            source, cost = CHECKS_0, draw.choice([0, -1250, 199])
            document["cost"] = cost / 100
            sums, values = (0, 0, 0, 0, 1, cost), {"all": "", "bike": bike}
        else:
            source, metres, town = TRIPS_0, draw.randrange(10_000), draw.choice(["Rome", "Oslo", "Bern"])
            document |= {"metres": metres, "town": town}
            fare, member = draw.choice([None, 1290, 5]), draw.choice([None, True, False])
            if fare is not None:
                document["fare"] = fare / 100
            values = {"all": "", "bike": bike, "town": town}
            if member is not None:
                document["member"] = member
                values["member"] = json.dumps([town, member], separators=(",", ":"))
            sums = (1, metres, int(metres > 5_000), fare or 0, 0, 0)
        # ids are of streams: a check has the id of a trip
        document["trip_id"] = f"t{made[source]}"
        made[source] += 1
        spoilt = draw.random()
        if spoilt < 0.1:
            del document["bike"]
            found.counters["rejected:missing_field"] += 1
        elif spoilt < 0.15 and source is TRIPS_0:
            document["metres"] = 950_000
            found.counters["rejected:too_far"] += 1
        else:
            found.counters["accepted"] += 1
            minute = document["started_ms"] // 60_000
            found.bikes.add((minute, bike))
            for dimension, value in values.items():
                key = CellKey(minute, dimension, value)
                found.cells[key] = found.cells.get(key, TRIPS.zero).plus(Cell(sums))
            if draw.random() < 0.1:
                send(source, document, append_ms)
                found.counters["duplicates"] += 1
        send(source, document, append_ms)
    found.cells = {key: cell for key, cell in found.cells.items() if any(cell)}
    return found
