"""Edits of a wiki: a pipeline with everything that the shop does not have, and records of it, good and spoilt."""

from __future__ import annotations

import json
import random
from typing import Any

from core.contract import UNSTAMPED_MS
from core.declaration.reader import read
from tests.support.events import NOW_MS

#: Everything that the shop does not have.
EDITS = read(
    b"""
name = "edits"
description = "Edits of a wiki"

[envelope]
id = "/meta/id"
time = "/at"
time_format = "epoch_s"
data = "/"

[types]
name  = { type = "string", minLength = 1, maxLength = 20 }
money = { type = "decimal", scale = 2, minimum = 0, maximum = 1_000 }
paid  = { type = "decimal", scale = 3, text = true, minimum = -5, maximum = 5 }

[streams.edits]
fields.wiki    = { type = "name", path = "/meta/wiki" }
fields.lang    = { type = "string", pattern = "[a-z]{2,3}", optional = true }
fields.kind    = { type = "string", enum = ["edit", "new"] }
fields.bot     = { type = "boolean", optional = true }
fields.size    = { type = "integer", path = "/page/size", minimum = -10, maximum = 9_999, optional = true }
fields.title   = { type = "name", path = "/page/class", optional = true }
fields.cost    = { type = "money" }
fields.fee     = { type = "money", optional = true }
fields.tip     = { type = "paid" }
require.small   = "size < 1000"
require.no_loss = "cost >= fee or bot"

[dimensions]
wiki = { by = "wiki", open = true }
lang = { by = "lang", open = true }
bot  = "bot"
size = "size"
cost = { by = "cost", open = true }
both = { by = "kind, bot" }

[measures]
edits = { count = "edits" }
large = { count = "edits", where = "size > 10 and not bot" }
cost_cents = { of = "edits", sum = "cost + fee" }
tips  = { of = "edits", sum = "tip", where = "kind == 'edit'" }

[distinct]
robots = "bot"
""",
    "edits.toml",
)

SCRAPS: list[Any] = [
    None,
    "",
    "x",
    "en",
    "EN",
    "x" * 21,
    "edit",
    "1.5",
    "-4.125",
    "5.001",
    "1e2",
    0,
    -1,
    999,
    1_000,
    1.0,
]
SCRAPS += [
    12.9,
    12.905,
    1e300,
    2**53,
    2**63,
    -(2**63) - 1,
    True,
    False,
    [],
    {},
    {"wiki": "en"},
    {"size": 5},
    {"class": 5},
]


def edits(count: int, seed: int) -> list[tuple[bytes | None, int]]:
    """Values and append times."""
    draw = random.Random(seed)
    records: list[tuple[bytes | None, int]] = []
    for number in range(count):
        document: dict[str, Any] = {
            "meta": {"id": f"e{number}", "wiki": draw.choice(["en", "de"])},
            "at": NOW_MS // 1000 - draw.randrange(100),
            "kind": draw.choice(["edit", "new"]),
            "cost": draw.choice([1, 2.5, 12.9, 999.99]),
            "tip": draw.choice(["1.5", "-4.125", "0"]),
        }
        optional = {"lang": "en", "bot": draw.random() < 0.5, "fee": 2.5}
        document |= {name: value for name, value in optional.items() if draw.random() < 0.5}
        if draw.random() < 0.5:
            document["page"] = {"size": draw.choice([1, 999, 1_000]), "class": "Main"}
        place = document if draw.random() < 0.5 else draw.choice([document["meta"], document.get("page", document)])
        if draw.random() < 0.7:
            name = draw.choice([*place, "page", "lang", "fee"])
            if draw.random() < 0.2:
                place.pop(name, None)
            else:
                place[name] = draw.choice(SCRAPS)
        at = UNSTAMPED_MS if draw.random() < 0.01 else NOW_MS
        records.append((json.dumps(document).encode(), at))
    return records
