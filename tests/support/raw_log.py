"""Logs for the batch layer without Kafka: records with append times, archived in several commits, and what
they must count for, by a reference that shares nothing with `batch`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from zlib import crc32

import pyarrow as pa
import pyarrow.parquet as pq

from adapters.lake.manifest import Manifest
from adapters.lake.raw_table import SCHEMA, RawTable
from core.cells import CellKey, Cells
from core.contract import UNSTAMPED_MS
from core.cut import Cut
from core.ledger import Ledger
from core.position import PartitionKey
from core.rules import Rules
from core.verdict import Rejected
from producers.dirt import DirtShares
from producers.stream import ShopStream
from tests.support.contract_before import Contract
from tests.support.events import NOW_MS
from tests.support.shop import KERNEL, SHOP, cell_of
from tests.support.shop_events import SALES

HEAVY_DIRT = DirtShares(
    duplicates=0.1,
    late=0.1,
    out_of_order=0.1,
    missing_field=0.03,
    wrong_type=0.03,
    bad_format=0.03,
    out_of_range=0.03,
    unknown_type=0.02,
    broken_json=0.02,
    garbage=0.02,
    from_future=0.02,
    wrong_topic=0.02,
    wrong_currency=0.02,
)


class Row(NamedTuple):
    """One record of the log."""

    source: PartitionKey
    offset: int
    append_ms: int
    key: bytes | None
    value: bytes | None
    truth: bytes = b""


Log = Sequence[Row]


def shop_log(
    seed: int,
    count: int,
    *,
    partitions: int = 3,
    start_ms: int = NOW_MS,
    step_ms: int = 1_000,
    gaps: bool = True,
    unstamped: float = 0.01,
) -> list[Row]:
    """A dirty shop's records, ten a step, in the order of append times; now and then an offset is left out.

    `unstamped`: the share of records that the broker did not stamp.
    """
    random = Random(seed)
    stream = ShopStream(seed, f"r{seed}", HEAVY_DIRT, shoppers=20)
    ends: Counter[PartitionKey] = Counter()
    log = []
    for step in range(count // 10):
        now_ms = start_ms + step * step_ms
        for record in stream.take(10, now_ms):
            source = PartitionKey(record.topic, crc32(record.key) % partitions)
            ends[source] += gaps and random.random() < 0.02
            stamp_ms = UNSTAMPED_MS if random.random() < unstamped else now_ms
            log.append(Row(source, ends[source], stamp_ms, record.key, record.value, record.truth))
            ends[source] += 1
    return log


def archive(path: Path, log: Log, commits: int = 4, topics: Sequence[str] = SHOP.topics) -> RawTable:
    """A raw table of the log, its records in so many commits."""
    raw = RawTable(path, topics)
    bounds = [len(log) * i // commits for i in range(commits + 1)]
    ends: dict[PartitionKey, int] = {}
    for start, end in pairwise(bounds):
        rows = log[start:end]
        moves = {}
        for row in rows:
            old, _ = moves.get(row.source, (ends.get(row.source, 0), 0))
            moves[row.source] = (old, row.offset + 1)
        ends |= {source: new for source, (_, new) in moves.items()}
        columns = [
            [row.source.topic for row in rows],
            [row.source.partition for row in rows],
            *([getattr(row, name) for row in rows] for name in ("offset", "append_ms", "key", "value")),
        ]
        arrays = [pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)]
        raw.append(pa.table(arrays, SCHEMA), moves)
    return raw


def cut_at(log: Log, epoch: int, rules: Rules) -> Cut:
    """The cut of `epoch`: before the first record of each partition whose epoch is not below it."""
    vector: dict[PartitionKey, int] = {}
    done: set[PartitionKey] = set()
    for row in log:
        vector.setdefault(row.source, 0)
        if rules.epoch_of(row.append_ms) >= epoch:
            done.add(row.source)
        if row.source not in done:
            vector[row.source] = row.offset + 1
    return Cut(epoch, vector)


def last_cut(log: Log, rules: Rules) -> Cut:
    """The cut behind the whole log."""
    return cut_at(log, rules.epoch_of(max(row.append_ms for row in log)) + 1, rules)


@dataclass
class Content:
    """All that a version counts, for comparison."""

    cells: Cells = field(default_factory=dict)
    users: set[tuple[int, str]] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)
    counters: dict[str, int] = field(default_factory=dict)
    states: dict[PartitionKey, tuple[int, ...]] = field(default_factory=dict)


def content(manifest: Manifest, folder: Path) -> Content:
    """What the files of a version say; also that each is sorted, without repetition, in its place."""
    found = Content(counters=dict(manifest.counters), states={s: tuple(t) for s, t in manifest.partitions.items()})
    for date, name in manifest.cells.items():
        rows = pq.read_table(folder / name).to_pylist()
        keys = [CellKey(r["minute"], r["dimension"], r["value"]) for r in rows]
        assert keys == sorted(set(keys))
        assert {_date(key.minute) for key in keys} == {date}
        cells = [cell_of(r["clicks"], r["sales"], r["units"], r["revenue_cents"]) for r in rows]
        found.cells |= dict(zip(keys, cells, strict=True))
    for date, name in manifest.users.items():
        pairs = [(r["minute"], r["user"]) for r in pq.read_table(folder / name).to_pylist()]
        assert pairs == sorted(set(pairs))
        assert {_date(minute) for minute, _ in pairs} == {date}
        found.users |= set(pairs)
    for name in manifest.ids:
        rows = pq.read_table(folder / name)
        hashes, ids = rows["hash"].to_pylist(), rows["id"].to_pylist()
        assert hashes == sorted(hashes)
        assert found.ids.isdisjoint(ids)
        assert len(set(ids)) == len(ids)
        found.ids |= set(ids)
    return found


def files(manifest: Manifest, folder: Path) -> dict[str, bytes]:
    """The bytes of the files of cells and users, by kind and date."""
    kinds = {"cells": manifest.cells, "users": manifest.users}
    return {f"{k} {d}": (folder / n).read_bytes() for k, by_date in kinds.items() for d, n in by_date.items()}


#: (topic, value, append time) to event time and event
Validate = Callable[[str, bytes | None, int], tuple[int, Any]]


def by_contract_before(topic: str, value: bytes | None, append_ms: int) -> tuple[int, Any]:
    """Event time and event. Raises `Rejected`."""
    return Contract(topic).validate(value, append_ms)


def by_kernel(topic: str, value: bytes | None, append_ms: int) -> tuple[int, Any]:
    """Event time and event. Raises `Rejected`."""
    return KERNEL[topic].decide.one(value, append_ms)


def expected(log: Log, cut: Cut, rules: Rules, validate: Validate = by_contract_before) -> Content:
    """What the log must count for: one loop with a contract, dictionaries, and nothing clever."""
    found = Content()
    counters: Counter[str] = Counter()
    states = {source: [-1, 0, 0, 0, 0, 0, -1] for source in cut.vector}
    valid = []
    for row in sorted(log, key=lambda row: (row.source, row.offset)):
        if row.offset >= cut.vector.get(row.source, 0):
            continue
        state = states[row.source]
        state[0] = max(state[0], row.append_ms // rules.epoch_ms)
        if row.append_ms:
            state[2], state[6] = row.append_ms, row.offset
        state[4] -= 1
        try:
            time_ms, event = validate(row.source.topic, row.value, row.append_ms)
        except Rejected as verdict:
            counters[f"rejected:{verdict.reason}"] += 1
            continue
        valid.append((state[0], row.append_ms, row.source, row.offset, time_ms < state[1] - rules.lateness_ms, event))
        state[1] = max(state[1], min(time_ms, row.append_ms))
        valid[-1] += (time_ms,)
    for _, _, source, _, late, event, time_ms in sorted(valid, key=lambda v: v[:4]):
        if event.id in found.ids:
            counters["duplicates"] += 1
            continue
        found.ids.add(event.id)
        counters["accepted"] += 1
        counters["late"] += late
        data, minute = event.data, time_ms // 60_000
        found.users.add((minute, data.user_id))
        units = data.quantity if source.topic == SALES else 0
        cents = units * data.unit_price_cents if source.topic == SALES else 0
        cell = cell_of(0, 1, units, cents) if source.topic == SALES else cell_of(1)
        for dimension, value in (
            ("all", ""),
            ("campaign", data.campaign_id),
            ("product", data.product_id),
            ("country", data.country),
        ):
            key = CellKey(minute, dimension, value)
            found.cells[key] = found.cells.get(key, cell_of()).plus(cell)
    for source, state in states.items():
        state[4] += cut.vector[source]
        found.states[source] = tuple(state)
    found.counters = {name: number for name, number in counters.items() if number}
    return found


def ideal(log: Iterable[Row], vector: Mapping[PartitionKey, int], rules: Rules) -> tuple[Cells, dict[str, int]]:
    """The same by the truth ledger: cells and counters, from what the producer said."""
    ledger = Ledger(SHOP, epoch_ms=rules.epoch_ms, horizon=rules.horizon, lateness_ms=rules.lateness_ms)
    for row in sorted(log, key=lambda row: (row.append_ms, row.source, row.offset)):
        ledger.add(row.source, row.offset, row.append_ms, row.truth)
    truth = ledger.ideal(vector)
    return truth.cells(), truth.counters()


def _date(minute: int) -> str:
    return datetime.fromtimestamp(minute * 60, UTC).date().isoformat()
