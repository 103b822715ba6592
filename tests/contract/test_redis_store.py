"""What holds of a speed view in Redis alone: its keys, what other hands do to them, servers that are away or wrong."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.crc import key_slot
from redis.exceptions import TimeoutError as RedisTimeoutError

from adapters.speed import redis_reader
from adapters.speed.blocks import Block
from adapters.speed.keys import ViewKeys
from adapters.speed.port import Outcome, RefusedError, SpeedReader, Step
from adapters.speed.redis_errors import LATER_S, Patience, ReplicaError
from adapters.speed.redis_reader import RedisReader
from adapters.speed.redis_sink import KEPT_S, MERGE_AFTER_S, MERGE_ENTRIES, RedisSink, _Opened
from core.cells import MINUTE_MS, Cell, CellKey, Cells
from core.errors import ConfigurationError, UnavailableError
from core.rollup import DAY, HOUR, Rollup
from core.rules import Rules
from core.sketch import union_count
from tests.contract.test_speed_store import ALL, PARTS, begun, counted_again
from tests.support.events import CLICKS_0, CLICKS_1, SALES_0, at, delta_of
from tests.support.shop import SHOP, cell_of
from tests.support.speed_stores import LOG, Move, RedisStore, first, users_of
from tests.support.waiting import turned


@pytest.fixture
def redis_store(servers: Any) -> Iterator[RedisStore]:
    store = RedisStore(servers.redis)
    yield store
    store.close()


@pytest.fixture
def all_kept(servers: Any) -> Iterator[RedisStore]:
    """A view of which no epoch expires."""
    store = RedisStore(servers.redis, rollup=Rollup())
    yield store
    store.close()


# --- keys ------------------------------------------------------------------------------------------


@pytest.mark.integration
@pytest.mark.versions
def test_the_keys_are_those_that_the_documents_describe(redis_store: RedisStore) -> None:
    text = Path("docs/redis-keys.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\{[^}]*\}:\w+)` \| (\w+) \|", text, re.MULTILINE)
    documented = dict(rows)
    begun(redis_store)
    view, partition = f"{{{redis_store.namespace}}}", f"{{{redis_store.namespace}/{CLICKS_0.topic}/0}}"
    found = {
        key.replace(view, "{VIEW}").replace(partition, "{VIEW/TOPIC/PARTITION}"): redis_store.admin.type(key).decode()
        for key in redis_store.all_keys()
        if str(SALES_0.topic) not in key
    }
    assert found == {key: kind for key, kind in documented.items() if key in found}
    assert {"{VIEW}:view", *(f"{{VIEW/TOPIC/PARTITION}}:{part}" for part in PARTS)} <= found.keys()
    for key, part in (("{VIEW}:view", "view"), ("{VIEW/TOPIC/PARTITION}:state", "state")):
        (row,) = [line for line in text.splitlines() if line.startswith(f"| `{key}`")]
        for field in redis_store.admin.hkeys(redis_store.key(part)):
            assert f"`{field.decode().split(':')[0]}" in row, field
    position = redis_store.admin.hget(redis_store.key("state"), "position")
    assert len(position.split(b",")) == text.count("eleven integers") * 11


@pytest.mark.integration
def test_the_keys_of_a_partition_share_one_slot_of_a_cluster(redis_store: RedisStore) -> None:
    begun(redis_store)
    slots: dict[str, set[int]] = {}
    for key in redis_store.all_keys():
        slots.setdefault(key[: key.index("}")], set()).add(key_slot(key.encode()))
    assert len(slots) == 3
    assert all(len(found) == 1 for found in slots.values())


@pytest.mark.integration
def test_what_expires_leaves_nothing_behind(redis_store: RedisStore) -> None:
    redis_store.apply(first(), cells={(e, m): {ALL: cell_of(1)} for e in range(3) for m in range(50)})
    redis_store.settle()
    assert redis_store.admin.hlen(redis_store.key("blocks")) == 3
    redis_store.floor.raise_floor(3)
    redis_store.run(redis_store.sink.check())
    redis_store.settle()
    assert redis_store.all_keys() == {redis_store.key(part) for part in ("view", "counts", "state", "log")}
    assert redis_store.admin.xlen(redis_store.key("log")) <= 1
    assert redis_store.run(redis_store.sink.check()) is None


# --- merging ---------------------------------------------------------------------------------------


def steps(store: RedisStore, count: int, start: int = 0, epoch: Callable[[int], int] = lambda _: 1) -> None:
    for number in range(start, start + count):
        store.apply(
            Move(CLICKS_0, at(number, epoch(number)) if number else "", at(number + 1, epoch(number + 1))),
            cells={(epoch(number), number % 7): {ALL: cell_of(1), ("country", f"c{number % 5}"): cell_of(1)}},
            users={(epoch(number), number % 7): [f"u{number % 50}"]},
            quality={epoch(number): {"accepted": 1}},
        )


@pytest.mark.integration
def test_the_log_of_a_partition_is_bounded(redis_store: RedisStore) -> None:
    reader = redis_store.reader()
    now = 0.0
    redis_store.sink._clock = lambda: now
    for part in range(5):
        steps(redis_store, MERGE_ENTRIES, part * MERGE_ENTRIES)
        redis_store.run(asyncio.sleep(0))
        redis_store.settle()
        now += KEPT_S + 1
        assert redis_store.admin.xlen(redis_store.key("log")) <= 2 * MERGE_ENTRIES
        assert reader.read() == redis_store.read()
    assert redis_store.read().totals[ALL] == cell_of(5 * MERGE_ENTRIES)
    reader.close()


@pytest.mark.integration
def test_a_reader_that_missed_more_than_the_log_keeps_reads_again(redis_store: RedisStore) -> None:
    steps(redis_store, 10)
    reader = redis_store.reader()
    reader.read()
    now = 0.0
    redis_store.sink._clock = lambda: now
    for start in (10, 20, 30):
        steps(redis_store, 10, start)
        redis_store.settle()
        now += KEPT_S + 1
    assert redis_store.admin.xlen(redis_store.key("log")) < 30
    assert reader.read() == redis_store.read()
    assert reader.read().totals[ALL] == cell_of(40)
    assert users_of(reader, range(7)) == 40
    reader.close()


@pytest.mark.integration
def test_closed_epochs_are_merged_where_none_expires(all_kept: RedisStore) -> None:
    reader = all_kept.reader()
    for start in range(0, 600, 20):
        steps(all_kept, 20, start, epoch=lambda number: number)
        all_kept.settle()
        assert reader.read().totals == {
            ALL: cell_of(start + 20),
            **{("country", f"c{n}"): cell_of((start + 20) // 5) for n in range(5)},
        }
    assert all_kept.admin.hlen(all_kept.key("blocks")) <= 2 + 600 // 256 + 16 + 16
    assert all_kept.admin.hlen(all_kept.key("totals")) == 1
    cold = all_kept.read()
    assert (cold.totals, cold.counters, cold.merged()) == (
        reader.read().totals,
        reader.read().counters,
        reader.read().merged(),
    )
    assert users_of(reader, range(7)) == 50
    reader.close()


@pytest.mark.integration
def test_a_merge_of_a_worker_that_lost_its_partition_changes_nothing(redis_store: RedisStore, servers: Any) -> None:
    steps(redis_store, 10)
    other = RedisSink(AsyncRedis.from_url(servers.redis), redis_store.namespace, SHOP)
    redis_store.run(other.begin(Rules(), LOG))
    redis_store.run(other.positions([CLICKS_0]))
    redis_store.settle()
    steps(redis_store, 10, 10)
    before = redis_store.read()
    redis_store.run(other.settle())
    redis_store.settle()
    assert redis_store.read() == before
    redis_store.lose(CLICKS_0, "log")
    redis_store.open(CLICKS_0)
    redis_store.run(other.settle())
    assert redis_store.read().totals == {}
    redis_store.run(other.close())


@pytest.mark.integration
@pytest.mark.parametrize("by_epoch", [True, False])
def test_sums_are_there_at_once_and_cells_with_later_reads(
    all_kept: RedisStore, servers: Any, monkeypatch: pytest.MonkeyPatch, by_epoch: bool
) -> None:
    monkeypatch.setattr(redis_reader, "_SMALL", 0)
    monkeypatch.setattr(redis_reader, "_ROWS_A_READ", 1)
    for start in range(0, 60, 20):
        steps(all_kept, 20, start, epoch=lambda number: number)
        all_kept.settle()
    steps(all_kept, 3, 60, epoch=lambda number: number)
    reader = RedisReader(Redis.from_url(servers.redis), all_kept.namespace, SHOP, by_epoch=by_epoch, rollup=Rollup())
    reads = 0
    while (seen := reader.read(whole=False)).loading:
        reads += 1
        assert (seen.totals[ALL], seen.counters) == (cell_of(63), {"accepted": 63})
        with pytest.raises(UnavailableError, match=r"cells of the speed view are still to be read"):
            seen.held.merged()
    assert reads > 3
    whole = all_kept.read()
    assert (seen.totals, seen.counters, seen.positions) == (whole.totals, whole.counters, whole.positions)
    assert seen.held.merged() == whole.held.merged()
    assert seen.users == whole.users
    steps(all_kept, 3, 63, epoch=lambda number: number)
    assert reader.read(whole=False).held.merged() == all_kept.read().held.merged()
    reader.close()


@pytest.mark.integration
def test_cells_that_are_merged_while_they_are_read_are_read_again(
    all_kept: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_reader, "_SMALL", 0)
    monkeypatch.setattr(redis_reader, "_ROWS_A_READ", 1)
    reader = all_kept.reader()
    for start in range(0, 80, 8):
        steps(all_kept, 8, start, epoch=lambda number: number)
        all_kept.settle()
        assert reader.read(whole=False).totals[ALL] == cell_of(start + 8)
    while (seen := reader.read(whole=False)).loading:
        pass
    assert seen.held.merged() == all_kept.read().held.merged()
    assert seen.totals == all_kept.read().totals
    reader.close()


@pytest.mark.integration
def test_sums_can_be_read_by_people_with_the_offsets_that_they_stand_for(redis_store: RedisStore) -> None:
    def shown() -> dict[str, str]:
        found = redis_store.admin.hgetall(redis_store.key("counts"))
        return {name.decode(): text.decode() for name, text in found.items() if name != b"writer"}

    def named(cell: Cell) -> str:
        return json.dumps(dict(zip(SHOP.measures, cell, strict=True)))

    steps(redis_store, 10)
    redis_store.apply(first(SALES_0), cells={(2, 6): {ALL: cell_of(0, 1, 2, 900), ("product", "a b"): cell_of(0, 1)}})
    redis_store.settle()
    totals = redis_store.read().totals
    wanted = {f"{dimension} {value}".rstrip(): named(cell) for (dimension, value), cell in totals.items()}
    offsets = {"offset clicks:0": "10", "offset sales:0": "1", "counted": "11"}
    assert shown() == wanted | offsets
    assert shown()["product a b"] == named(cell_of(0, 1))
    steps(redis_store, 5, 10)
    redis_store.settle()
    assert shown()["all"] == named(redis_store.read().totals[ALL])
    assert shown()["offset clicks:0"] == "15"
    # what another one wrote is written whole
    redis_store.admin.hset(redis_store.key("counts"), mapping={"writer": "other", "all": "wrong", "gone": "1"})
    for number in (15, 16):
        steps(redis_store, 1, number)
        redis_store.settle()
    assert shown()["all"] == named(redis_store.read().totals[ALL])
    assert "gone" not in shown()
    # lost, it is written again, whole, and what has expired is not in it
    redis_store.admin.delete(redis_store.key("counts"))
    redis_store.floor.raise_floor(2)
    redis_store.run(redis_store.sink.check())
    redis_store.settle()
    assert shown().keys() == {"all", "product a b", "offset clicks:0", "offset sales:0", "counted"}


@pytest.mark.integration
def test_what_was_added_is_merged_and_shown_in_its_time_though_nothing_follows(redis_store: RedisStore) -> None:
    waited: list[float] = []
    now = 100.0
    awake = asyncio.Event()

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        await awake.wait()

    sink = redis_store.sink
    sink._clock, sink._sleep = lambda: now, sleep
    steps(redis_store, 1)
    redis_store.run(asyncio.sleep(0))
    assert waited == [pytest.approx(MERGE_AFTER_S)]
    assert not redis_store.admin.exists(redis_store.key("counts"))
    awake.set()

    async def merged() -> None:
        await turned(lambda: sink._merging is not None, "the merge to begin")
        assert sink._merging is not None
        await sink._merging

    redis_store.run(asyncio.wait_for(merged(), 5))
    assert redis_store.admin.hget(redis_store.key("counts"), "offset clicks:0") == b"1"


@pytest.mark.integration
def test_old_minutes_become_hours_and_days_where_no_epoch_expires(servers: Any) -> None:
    rollup = Rollup(2 * HOUR, DAY)
    store = RedisStore(servers.redis, rollup=rollup)
    follower = store.reader()
    start, old = 40 * DAY, ""
    cells: Cells = {}
    # three days, an event each 17 minutes, an epoch each three hours of them
    for number in range(3 * DAY // 17):
        minute = start + 17 * number
        epoch = minute // (3 * HOUR)
        new = at(number + 1, epoch, newest_ms=minute * MINUTE_MS)
        store.apply(
            Move(CLICKS_0, old, new),
            cells={(epoch, minute): {ALL: cell_of(1)}},
            users={(epoch, minute): [f"u{number % 9}"]},
        )
        cells[CellKey(minute, *ALL)] = cell_of(1)
        old = new
        if number % 40 == 39:
            store.settle()
            wanted = rollup.grain(minute * MINUTE_MS).cells(cells)
            for seen in (store.read(), follower.read()):
                assert seen.merged() == wanted
                assert seen.totals == {ALL: cell_of(number + 1)}
                assert union_count(seen.users.between(start, minute + 1)) == 9
            assert store.read().users == follower.read().users
    store.settle()
    grain = follower.read().grain
    kept = [Block.unpack(data, tuple(SHOP.measures)) for data in store.admin.hvals(store.key("blocks"))]
    minutes = {minute for block in kept for minute in block.table.distinct_minutes()}
    # what is long due is rolled up in Redis, too, with its users
    assert all(minute % HOUR == 0 for minute in minutes if minute < grain.hours_below - 7 * HOUR)
    assert all(minute % DAY == 0 for minute in minutes if minute < grain.days_below - DAY)
    assert {minute for block in kept for minute in block.users} == minutes
    assert len(minutes) < 3 * 24 + 24
    follower.close()
    store.close()


@pytest.mark.integration
@pytest.mark.parametrize("whole", [True, False])
def test_a_reader_that_begins_while_all_is_written_and_merged_misses_nothing(
    redis_store: RedisStore, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    """Between its calls a worker counts on, in keys that are there, and merges, with names as they come."""
    monkeypatch.setattr(redis_reader, "_SMALL", 0)
    monkeypatch.setattr(redis_reader, "_ROWS_A_READ", 1)
    there = dict.fromkeys((CLICKS_0, CLICKS_1, SALES_0), 0)

    def count_on(number: int = 0) -> None:
        if number % 3:
            # no more often than a reader needs for two calls
            return
        for partition, offset in there.items():
            redis_store.apply(
                Move(partition, at(offset, offset // 2) if offset else "", at(offset + 1, (offset + 1) // 2)),
                cells={(offset // 2, minute): {ALL: cell_of(1)} for minute in range(3)},
                users={(offset // 2, 5): [f"u{offset}"]},
            )
            there[partition] = offset + 1
        redis_store.settle()

    for _ in range(12):
        count_on()
    reader = redis_store.reader()
    assert isinstance(reader, RedisReader)
    mine = reader._client
    reader._client = Interrupted(mine, count_on)  # type: ignore[assignment]
    reads = [reader.read(whole=whole) for _ in range(5)]
    for seen in reads:
        assert seen.totals[ALL] == cell_of(3 * sum(seen.vector.values()))
    reader._client = mine
    while (seen := reader.read(whole=whole)).loading:
        pass
    known = redis_store.read()
    assert (seen.totals, seen.merged(), seen.users) == (known.totals, known.merged(), known.users)
    reader.close()


class Interrupted:
    """A client of Redis; before each pipeline of a reader something happens to the store."""

    def __init__(self, client: Redis, happens: Callable[[int], None]) -> None:
        self._client = client
        self._happens = happens
        self.pipelines = 0

    def pipeline(self, **options: Any) -> Any:
        self._happens(self.pipelines)
        self.pipelines += 1
        return self._client.pipeline(**options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


@pytest.mark.integration
def test_cells_whose_reading_failed_are_read_with_the_next_read(
    all_kept: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_reader, "_SMALL", 0)
    monkeypatch.setattr(redis_reader, "_OPEN", -1)
    monkeypatch.setattr(redis_reader, "_ROWS_A_READ", 1)
    steps(all_kept, 20, epoch=lambda number: number // 5)
    all_kept.settle()
    reader = all_kept.reader()
    assert isinstance(reader, RedisReader)
    assert reader.read(whole=False).loading
    mine = reader._client

    class Away:
        def __getattr__(self, name: str) -> Any:
            if name == "hget":
                raise RedisTimeoutError
            return getattr(mine, name)

    reader._client = Away()  # type: ignore[assignment]
    with pytest.raises(UnavailableError):
        reader.read(whole=False)
    reader._client = mine
    while (seen := reader.read(whole=False)).loading:
        pass
    assert seen.merged() == all_kept.read().merged()
    assert seen.users == all_kept.read().users
    reader.close()


@pytest.mark.integration
def test_a_sum_of_many_minutes_of_a_step_is_bounded_too(redis_store: RedisStore) -> None:
    step: dict[str, Any] = {"cells": {(1, m): {ALL: cell_of(revenue_cents=10**16)} for m in range(100)}}
    redis_store.open(CLICKS_0)
    taken = 0
    for number in range(12):
        move = Move(CLICKS_0, at(number) if number else "", at(number + 1))
        try:
            redis_store.apply(move, **step)
        except RefusedError as error:
            assert "revenue_cents of all" in str(error)
            break
        taken += 1
    # ten of them would pass 2^63
    assert taken == 9
    redis_store.settle()
    assert redis_store.read().totals == {ALL: cell_of(revenue_cents=9 * 10**18)}


# --- what others do to it ----------------------------------------------------------------------------


@pytest.mark.integration
@pytest.mark.parametrize("part", PARTS)
def test_a_reader_that_knows_the_view_never_shows_too_little(redis_store: RedisStore, part: str) -> None:
    begun(redis_store)
    reader = redis_store.reader()
    before = reader.read()
    redis_store.lose(CLICKS_0, part)
    with suppress(UnavailableError):
        assert reader.read() == before
    redis_store.apply(Move(CLICKS_0, at(2), at(3)), cells={(1, 5): {ALL: cell_of(1)}, (2, 6): {ALL: cell_of(1)}})
    redis_store.run(redis_store.sink.check())
    with pytest.raises(UnavailableError):
        reader.read()
    counted_again(redis_store, CLICKS_0)
    assert reader.read().totals == {ALL: cell_of(5)}
    if part != "state":
        # where the account itself is gone, nobody knows that there was one
        assert "counted again" in " ".join(reader.read().states)
    reader.close()


@pytest.mark.integration
def test_a_view_that_lost_its_own_key_goes_on_with_what_it_has(redis_store: RedisStore) -> None:
    begun(redis_store)
    before = redis_store.read()
    reader = redis_store.reader()
    reader.read()
    redis_store.admin.delete(redis_store.key("view"))
    for each in (reader.read, redis_store.read):
        with pytest.raises(UnavailableError, match="lost a key of the view"):
            each()
    assert "emptied" in redis_store.run(redis_store.sink.check())
    assert redis_store.open(CLICKS_0, SALES_0) == {CLICKS_0: at(2), SALES_0: at(1)}
    assert redis_store.run(redis_store.sink.check()) is None
    assert reader.read() == redis_store.read() == before
    reader.close()


@pytest.mark.integration
@pytest.mark.parametrize("field", ["born", "rules", "log", "meaning", "layout", "partitions", f"partition:{SALES_0}"])
def test_a_view_that_lost_a_field_is_never_shown_in_part(redis_store: RedisStore, field: str) -> None:
    begun(redis_store)
    before = redis_store.read()
    redis_store.admin.hdel(redis_store.key("view"), field)
    with suppress(UnavailableError):
        assert redis_store.read() == before
    # the worker's watch
    wrong = redis_store.run(redis_store.sink.check())
    found = redis_store.open(CLICKS_0, SALES_0)
    assert (wrong is None) == (
        field in ("rules", "log", "partitions", f"partition:{SALES_0}") or "meaning" in field or "layout" in field
    )
    if found[CLICKS_0] is not None:
        assert redis_store.read() == before
    else:
        counted_again(redis_store)


@pytest.mark.integration
@pytest.mark.parametrize("field", ["born", "opened", "position", "entries", "totals", "blocks", "merged", "last"])
def test_an_account_that_lost_a_part_is_no_account(redis_store: RedisStore, field: str) -> None:
    begun(redis_store)
    redis_store.admin.hdel(redis_store.key("state"), field)
    if field not in ("born", "position"):
        assert redis_store.run(redis_store.sink.check()) is not None
        with pytest.raises(UnavailableError):
            redis_store.read()
    late = Step(CLICKS_0, at(2), at(3), delta_of({(1, 5): {ALL: cell_of(1)}}))
    if field != "born":
        assert redis_store.run(redis_store.sink.apply([late])) == {CLICKS_0: Outcome.CONFLICT}


@pytest.mark.integration
def test_a_worker_that_knows_the_view_before_a_loss_is_fenced_off(redis_store: RedisStore, servers: Any) -> None:
    begun(redis_store)
    other = RedisSink(AsyncRedis.from_url(servers.redis), redis_store.namespace, SHOP)
    redis_store.run(other.begin(Rules(), LOG))
    redis_store.run(other.positions([CLICKS_0]))
    redis_store.lose(CLICKS_0, "blocks")
    redis_store.run(redis_store.sink.check())
    counted_again(redis_store, CLICKS_0)
    # even where its partition stands at the very same position
    late = Step(CLICKS_0, at(1), at(2), delta_of({(1, 5): {ALL: cell_of(1)}}))
    assert redis_store.run(other.apply([late])) == {CLICKS_0: Outcome.CONFLICT}
    assert "opened again" in redis_store.run(other.check())
    redis_store.run(other.begin(Rules(), LOG))
    assert redis_store.run(other.positions([CLICKS_0])) == {CLICKS_0: at(1)}
    assert redis_store.run(other.check()) is None
    assert redis_store.run(other.apply([late])) == {CLICKS_0: Outcome.APPLIED}
    redis_store.run(other.close())


@pytest.mark.integration
def test_a_version_of_a_job_that_has_a_name_again_takes_nothing_over(servers: Any, redis_store: RedisStore) -> None:
    begun(redis_store)
    redis_store.admin.delete(redis_store.key("view"))
    # what is left of it is another incarnation's
    other = RedisSink(AsyncRedis.from_url(servers.redis), redis_store.namespace, SHOP)
    redis_store.run(other.begin(Rules(), LOG))
    assert redis_store.run(other.positions([CLICKS_0])) == {CLICKS_0: None}
    late = Step(CLICKS_0, at(2), at(3), delta_of({(1, 5): {ALL: cell_of(1)}}))
    assert redis_store.run(redis_store.sink.apply([late])) == {CLICKS_0: Outcome.CONFLICT}
    redis_store.run(other.close())


@pytest.mark.integration
@pytest.mark.parametrize("part", ["totals", "blocks"])
def test_a_field_that_somebody_adds_makes_the_partition_begin_again(redis_store: RedisStore, part: str) -> None:
    begun(redis_store)
    redis_store.admin.hset(redis_store.key(part), "hello", "1")
    with pytest.raises(UnavailableError, match="lost a key of the view"):
        redis_store.read()
    assert part in redis_store.run(redis_store.sink.check())
    counted_again(redis_store, CLICKS_0)
    assert redis_store.read().totals == {ALL: cell_of(5)}


@pytest.mark.integration
@pytest.mark.parametrize("known", [False, True])
def test_an_entry_that_somebody_adds_or_takes_makes_the_partition_begin_again(
    redis_store: RedisStore, known: bool
) -> None:
    for change in ("add", "take"):
        begun(redis_store)
        reader = redis_store.reader()
        if known:
            reader.read()
        if change == "add":
            redis_store.admin.xadd(redis_store.key("log"), {"c": "1"})
        else:
            (entry, *_) = redis_store.admin.xrange(redis_store.key("log"))
            redis_store.admin.xdel(redis_store.key("log"), entry[0])
        with pytest.raises(UnavailableError, match="lost a key of the view"):
            reader.read()
        assert "log" in redis_store.run(redis_store.sink.check())
        counted_again(redis_store, CLICKS_0)
        assert reader.read().totals == {ALL: cell_of(5)}
        reader.close()
        redis_store.flush()


@pytest.mark.integration
@pytest.mark.parametrize("value", ["", "abc", "damaged"])
def test_a_block_of_another_hand_is_named_to_readers_and_ends_the_worker(redis_store: RedisStore, value: str) -> None:
    begun(redis_store)
    name = redis_store.key("blocks")
    field, data = next(iter(redis_store.admin.hgetall(name).items()))
    redis_store.admin.hset(name, field, data[:-9] + b"012345678" if value == "damaged" else value)
    with pytest.raises(ConfigurationError, match=re.escape(f"redis-cli DEL '{name}'")):
        redis_store.read()
    # as the remedy says
    redis_store.admin.delete(name)
    assert "blocks" in redis_store.run(redis_store.sink.check())
    counted_again(redis_store, CLICKS_0)
    assert redis_store.read().totals == {ALL: cell_of(5)}


@pytest.mark.integration
def test_a_position_of_another_hand_makes_the_partition_begin_again_though_nothing_arrives(
    redis_store: RedisStore,
) -> None:
    begun(redis_store)
    redis_store.admin.hset(redis_store.key("state", SALES_0), "position", "x")
    # a worker's watch asks for all of them
    with pytest.raises(UnavailableError, match="cannot be read"):
        redis_store.run(redis_store.sink.all_positions())
    assert "state" in redis_store.run(redis_store.sink.check())
    assert redis_store.open(CLICKS_0, SALES_0) == {CLICKS_0: at(2), SALES_0: None}


def spoil(client: Redis, key: str) -> None:
    client.delete(key)
    client.rpush(key, "a list")


@pytest.mark.integration
@pytest.mark.parametrize("part", ["view", *PARTS])
def test_a_key_of_another_type_is_named_and_nothing_is_added(redis_store: RedisStore, part: str) -> None:
    begun(redis_store)
    name = redis_store.key(part)
    spoil(redis_store.admin, name)
    step = Move(CLICKS_0, at(2), at(3))
    for act in (
        lambda: redis_store.apply(step, cells={(1, 5): {ALL: cell_of(9)}}),
        lambda: redis_store.run(redis_store.sink.check()),
        redis_store.read,
    ):
        if part == "view" and act is not redis_store.read:
            continue
        with pytest.raises(ConfigurationError, match=re.escape(name)) as said:
            act()
        assert "redis-cli DEL" in str(said.value)
    # as the remedy says
    redis_store.admin.delete(name)
    assert redis_store.run(redis_store.sink.check()) is not None
    found = redis_store.open(CLICKS_0, SALES_0)
    assert found[CLICKS_0] == (at(2) if part == "view" else None)


@pytest.mark.integration
@pytest.mark.parametrize("key", ["meta", "positions"])
def test_a_view_of_the_layout_before_is_refused_with_the_remedy(redis_store: RedisStore, key: str) -> None:
    redis_store.admin.hset(f"{{{redis_store.namespace}}}:{key}", "born", "x")
    for act in (lambda: redis_store.run(redis_store.sink.begin(Rules(), LOG)), redis_store.read):
        with pytest.raises(ConfigurationError, match=r"another version of Fourfold.*FOURFOLD_NAMESPACE"):
            act()


@pytest.mark.integration
def test_a_full_redis_takes_nothing_of_a_step_and_all_of_it_later(redis_store: RedisStore, servers: Any) -> None:
    begun(redis_store)
    before = redis_store.read()
    step = Move(CLICKS_0, at(2), at(3)), {(1, 5): {ALL: cell_of(1)}}
    with Redis.from_url(servers.redis) as client:
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(UnavailableError, match="full"):
                redis_store.apply(step[0], cells=step[1])
            snapshot = redis_store.read()
            assert "Redis is full" in " ".join(snapshot.states)
            assert replace(snapshot, states=()) == before
        finally:
            client.config_set("maxmemory", 0)
    assert redis_store.apply(step[0], cells=step[1]) is Outcome.APPLIED


@pytest.mark.integration
def test_an_evicting_redis_is_refused_by_writers_and_readers(redis_store: RedisStore, servers: Any) -> None:
    begun(redis_store)
    with Redis.from_url(servers.redis) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", 10**9)
        try:
            for act in (
                lambda: redis_store.run(redis_store.sink.begin(Rules(), LOG)),
                lambda: redis_store.run(redis_store.sink.check()),
                redis_store.read,
            ):
                with pytest.raises(ConfigurationError, match=r"allkeys-lru.*set it to noeviction"):
                    act()
        finally:
            client.config_set("maxmemory", 0)
            client.config_set("maxmemory-policy", "noeviction")


@contextmanager
def as_user(servers: Any, *may: str) -> Iterator[str]:
    """The address of the server for a user who may do so much."""
    with Redis.from_url(servers.redis) as admin:
        admin.execute_command("ACL", "SETUSER", "tester", "on", ">secret", "~*", *may)
        try:
            yield servers.redis.replace("redis://", "redis://tester:secret@")
        finally:
            admin.execute_command("ACL", "DELUSER", "tester")


@pytest.mark.integration
@pytest.mark.parametrize("may", [("+@all", "-info"), ("+@all", "-info", "-client"), ("+@all", "-@dangerous", "-info")])
def test_where_info_is_forbidden_all_goes_on(servers: Any, may: tuple[str, ...]) -> None:
    with as_user(servers, *may) as address:
        store = RedisStore(servers.redis)
        store.sink._client = AsyncRedis.from_url(address)
        begun(store)
        reader = RedisReader(Redis.from_url(address), store.namespace, SHOP)
        assert reader.read().totals == {ALL: cell_of(3)}
        store.apply(Move(CLICKS_0, at(2), at(3)), cells={(1, 5): {ALL: cell_of(1)}})
        assert reader.read() == store.read()
        assert reader.read().totals == {ALL: cell_of(4)}
        assert store.run(store.sink.check()) is None
        store.lose(CLICKS_0, "blocks")
        assert "blocks" in store.run(store.sink.check())
        reader.close()
        store.close()


@pytest.mark.integration
@pytest.mark.parametrize("command", ["evalsha", "hset", "hmget", "xadd", "xlen", "hlen", "xtrim", "hdel"])
def test_a_missing_permission_is_for_good_and_leaves_nothing(
    redis_store: RedisStore, servers: Any, command: str
) -> None:
    begun(redis_store)
    before = redis_store.read()
    mine = redis_store.sink._client
    with as_user(servers, "+@all", f"-{command}") as address:
        redis_store.sink._client = AsyncRedis.from_url(address)
        delta = delta_of({(1, 5): {ALL: cell_of(1)}, (3, 5): {ALL: cell_of(1)}}, users={(1, 5): ["x"]})
        sink, merges = redis_store.sink, command in ("xtrim", "hdel")
        act = sink.settle if merges else lambda: sink.apply([Step(CLICKS_0, at(2), at(3), delta)])
        with pytest.raises(ConfigurationError, match=r"FOURFOLD_REDIS may not use"):
            redis_store.run(act())
        redis_store.run(redis_store.sink._client.aclose())
    redis_store.sink._client = mine
    assert redis_store.read() == before
    assert redis_store.run(redis_store.sink.check()) is None


@pytest.mark.integration
def test_a_wrong_password_is_for_good(redis_store: RedisStore, servers: Any) -> None:
    with as_user(servers, "+@all") as address:
        wrong = address.replace("secret", "guess")
        sink, reader = RedisSink(AsyncRedis.from_url(wrong), "v1", SHOP), RedisReader(Redis.from_url(wrong), "v1", SHOP)
        for act in (lambda: redis_store.run(sink.positions([CLICKS_0])), reader.read, reader.rules):
            with pytest.raises(ConfigurationError, match="password") as said:
                act()
            assert "guess" not in str(said.value)
        redis_store.run(sink.close())
        reader.close()


@pytest.mark.integration
def test_a_replica_is_waited_for_and_then_it_is_for_good(redis_store: RedisStore, servers: Any) -> None:
    begun(redis_store)
    sink = redis_store.sink
    now = 0.0
    sink._patience = Patience(lambda: now)
    redis_store.run(sink.begin(Rules(), LOG))
    with Redis.from_url(servers.redis) as client:
        client.replicaof("127.0.0.1", 1)
        try:
            for act in (
                lambda: redis_store.apply(Move(CLICKS_0, at(2), at(3)), cells={(1, 5): {ALL: cell_of(1)}}),
                lambda: redis_store.run(sink.begin(Rules(), LOG)),
            ):
                with pytest.raises(ReplicaError, match="replica"):
                    act()
            assert "replica" in " ".join(redis_store.read().states)
            now = LATER_S + 1
            with pytest.raises(ConfigurationError, match="REPLICAOF NO ONE"):
                redis_store.apply(Move(CLICKS_0, at(2), at(3)), cells={(1, 5): {ALL: cell_of(1)}})
        finally:
            client.execute_command("REPLICAOF", "NO", "ONE")
    assert redis_store.apply(Move(CLICKS_0, at(2), at(3)), cells={(1, 5): {ALL: cell_of(1)}}) is Outcome.APPLIED


# --- the server is away --------------------------------------------------------------------------


@contextmanager
def nobody() -> Iterator[int]:
    """A port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    yield port


@contextmanager
def silence() -> Iterator[int]:
    """A port at which somebody listens who never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextmanager
def hang_up() -> Iterator[int]:
    """A port at which somebody hangs up on everybody."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


AWAY = pytest.mark.parametrize("away", [nobody, silence, hang_up])


async def applied(sink: RedisSink) -> None:
    sink._opened[CLICKS_0] = _Opened("x", ViewKeys("v1").of(CLICKS_0), 0, 0)
    await sink.apply([Step(*first(), delta_of())])


@AWAY
@pytest.mark.parametrize(
    "act",
    [
        lambda sink: sink.begin(Rules(), LOG),
        lambda sink: sink.positions([CLICKS_0]),
        lambda sink: sink.all_positions(),
        applied,
    ],
    ids=["begin", "positions", "all_positions", "apply"],
)
def test_a_writer_says_that_the_server_is_away(away: Any, act: Callable[[RedisSink], Any]) -> None:
    async def attempt(port: int) -> None:
        sink = RedisSink(AsyncRedis(port=port, socket_timeout=0.1, socket_connect_timeout=0.1, retry=None), "v1", SHOP)
        try:
            with pytest.raises(UnavailableError, match="Redis does not"):
                await act(sink)
        finally:
            await sink.close()

    with away() as port:
        asyncio.run(attempt(port))


def test_a_merge_that_is_not_possible_is_not_tried_again_at_once() -> None:
    async def attempt(port: int) -> list[float]:
        waited: list[float] = []

        async def sleep(seconds: float) -> None:
            waited.append(seconds)
            await asyncio.sleep(0)

        client = AsyncRedis(port=port, socket_timeout=0.1, socket_connect_timeout=0.1, retry=None)
        sink = RedisSink(client, "v1", SHOP, sleep=sleep)
        sink._opened[CLICKS_0] = _Opened("x", ViewKeys("v1").of(CLICKS_0), 0, 1, since=sink._clock() - 10)
        sink._begin_merging()
        await turned(lambda: len(waited) > 4, "some tries")
        await sink.close()
        return waited

    with nobody() as port:
        waited = asyncio.run(attempt(port))
    # the first was due
    assert waited[0] == 0
    assert min(waited[1:]) > MERGE_AFTER_S / 2


@AWAY
@pytest.mark.parametrize("act", [lambda reader: reader.read(), lambda reader: reader.rules()], ids=["read", "rules"])
def test_a_reader_says_that_the_server_is_away(away: Any, act: Callable[[SpeedReader], Any]) -> None:
    with away() as port:
        reader = RedisReader(Redis(port=port, socket_timeout=0.1, socket_connect_timeout=0.1, retry=None), "v1", SHOP)
        with pytest.raises(UnavailableError, match="Redis does not answer"):
            act(reader)
        reader.close()
