"""A contender: the recompute as a data engineer writes it with pandas, with the whole raw table in one frame.

`python -m bench.plain_pandas LAP_FILE`. It counts cells and what became of the records; lateness, users
and what a next version begins from are left out. Decoding is the product's, which is faster than `json`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import pandas as pd
from deltalake import DeltaTable

from bench.child import settings_of_child
from bench.lap import Lap
from core.cells import MINUTE_MS
from core.delta import ACCEPTED, DUPLICATES, REJECTED
from core.kernel.kernel import Kernel
from core.verdict import Rejected
from modes.pipelines import kernel_of
from modes.settings import Settings
from modes.wiring.lake import raw_table
from producers.record import SALES

_COLUMNS: Final = [
    "reason",
    "id",
    "minute",
    "campaign",
    "product",
    "country",
    "clicks",
    "sales",
    "units",
    "revenue_cents",
]


def cells_file(settings: Settings) -> Path:
    """Where the cells are written: (minute, dimension, value, measures), in Parquet."""
    return settings.lake_dir / "plain.parquet"


def count(settings: Settings) -> Mapping[str, int]:
    """Writes the cells, returns the counters."""
    raw = DeltaTable(raw_table(settings).path).to_pandas()
    kernel = kernel_of(settings)
    events = pd.DataFrame(
        map(partial(_decoded, kernel), raw["topic"], raw["value"], raw["append_ms"]), columns=_COLUMNS
    )
    valid = events[events["reason"].isna()]
    unique = valid.drop_duplicates("id").assign(all="")
    cells = [
        unique.groupby(["minute", dimension], as_index=False)[list(kernel.pipeline.measures)]
        .sum()
        .rename(columns={dimension: "value"})
        .assign(dimension=dimension)
        for dimension in kernel.pipeline.dimension_names
    ]
    pd.concat(cells).to_parquet(cells_file(settings), index=False)
    rejected = events["reason"].value_counts().to_dict()
    return {REJECTED + reason: int(number) for reason, number in rejected.items()} | {
        ACCEPTED: len(unique),
        DUPLICATES: len(valid) - len(unique),
    }


def _decoded(kernel: Kernel, topic: str, value: bytes, append_ms: int) -> tuple[Any, ...]:
    try:
        time_ms, event = kernel[topic].decide.one(value, append_ms)
    except Rejected as verdict:
        return (str(verdict.reason), "", 0, "", "", "", 0, 0, 0, 0)
    data = event.data
    name = (None, event.id, time_ms // MINUTE_MS, data.campaign_id, data.product_id, data.country)
    if topic == SALES:
        return (*name, 0, 1, data.quantity, data.quantity * data.unit_price_cents)
    return (*name, 1, 0, 0, 0)


def main() -> None:
    """Counts once."""
    settings = settings_of_child()
    Lap.of(lambda: count(settings)).write(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
