"""Each rule by which a partition's numbers are those of its position, and what goes wrong without it.

A rule is taken out of a script's text, or of the reader's; the scenario is the same with and without it. Every record
is one click, so a partition is right where it shows as many clicks as its position has records.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final, NamedTuple, cast

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from adapters.speed import redis_reader, redis_sink
from adapters.speed.blocks import Block
from adapters.speed.merging import Found, merged
from adapters.speed.port import Outcome, Step
from adapters.speed.redis_reader import RedisReader
from adapters.speed.redis_sink import RedisSink
from core.cells import Cell
from core.errors import ConfigurationError, UnavailableError
from core.position import Position
from core.rollup import Rollup
from core.rules import Rules
from tests.support.events import CLICKS_0, at, delta_of
from tests.support.shop import MEASURES, SHOP, cell_of
from tests.support.speed_stores import LOG, RedisStore

pytestmark = pytest.mark.integration

ALL = ("all", "")
#: Long enough that nothing is merged unless a test says so.
EPOCH = 100
#: Partition scripts as the sink calls them.
SCRIPTS: Final = ("_OPEN", "_STEP", "_CHECK", "_MERGE")
kept_or_not = pytest.mark.parametrize("kept", [True, False], ids=["with-the-rule", "without"])


@pytest.fixture
def store(servers: Any) -> Iterator[RedisStore]:
    made = RedisStore(servers.redis)
    yield made
    made.close()


@pytest.fixture
def other(servers: Any, store: RedisStore) -> Iterator[RedisSink]:
    """The sink of another worker."""
    sink = RedisSink(AsyncRedis.from_url(servers.redis), store.namespace, SHOP)
    yield sink
    store.run(sink.close())


#: Nothing expires, and nothing is old enough to be rolled up.
BY_MINUTES_FOR_GOOD: Final = Rollup(10**9, 10**9)


class Without:
    """Takes rules out."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def script(self, name: str, rule: str, instead: str = "") -> None:
        """Of one script of a partition, or of what all of them begin with ("partition")."""
        for each in SCRIPTS if name == "partition" else [f"_{name.upper()}"]:
            text = getattr(redis_sink, each).text
            assert rule in text, rule
            self._monkeypatch.setattr(redis_sink, each, redis_sink._Script(name, text.replace(rule, instead)))

    def reader(self, method: str, rule: str, instead: str = "") -> None:
        text = textwrap.dedent(inspect.getsource(getattr(RedisReader, method)))
        assert rule in text, rule
        made: dict[str, Any] = {}
        exec(text.replace(rule, instead), vars(redis_reader), made)
        self._monkeypatch.setattr(RedisReader, method, made[method])


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Without:
    return Without(monkeypatch)


# --- what the scenarios are made of ------------------------------------------------------------------


def position(offset: int) -> str:
    return at(offset, (offset - 1) // EPOCH) if offset else ""


def step(old: int, new: int, cell: Cell | None = None) -> Step:
    """Counts the records from `old` to `new`; each as a click, if nothing else is said."""
    cells: dict[tuple[int, int], dict[tuple[str, str], Cell]] = {}
    for offset in range(old, new):
        found = cells.setdefault((offset // EPOCH, offset), {})
        found[ALL] = cell or cell_of(1)
    return Step(CLICKS_0, position(old), position(new), delta_of(cells))


def counts(store: RedisStore, sink: RedisSink, *offsets: int) -> list[Outcome]:
    """Steps from each offset to the next."""
    return [store.run(sink.apply([step(old, new)]))[CLICKS_0] for old, new in pairwise(offsets)]


def opens(store: RedisStore, sink: RedisSink) -> int | None:
    """As a worker that restores: the next offset to count, None where there is no position."""
    store.run(sink.begin(Rules(), LOG))
    text = store.run(sink.positions([CLICKS_0]))[CLICKS_0]
    return None if text is None else Position.decode(text).next


class Shown(NamedTuple):
    clicks: int
    sales: int
    next: int


def shown(store: RedisStore, reader: RedisReader | None = None) -> Shown:
    """What a reader shows, one that knows nothing yet if none is given."""
    snapshot = store.read() if reader is None else reader.read()
    total = snapshot.totals.get(ALL, cell_of())
    return Shown(total[0], total[1], snapshot.vector.get(CLICKS_0, 0))


def right(offset: int) -> Shown:
    return Shown(offset, 0, offset)


def begins_again(store: RedisStore, sink: RedisSink) -> None:
    """Another incarnation of the view, as of a version of a job that has the name of one that was removed."""
    store.admin.delete(store.key("view"))
    store.run(sink.begin(Rules(), LOG))


class Plan(NamedTuple):
    """A merge of a worker that has not been sent yet."""

    opened: str
    found: Found
    arguments: list[Any]


def plan_of(store: RedisStore, sink: RedisSink, *, keeps_all: bool = False) -> Plan:
    opened = sink._opened[CLICKS_0]
    found = store.run(sink._found(opened))
    plan = merged(found, MEASURES, BY_MINUTES_FOR_GOOD if keeps_all else None)
    assert plan is not None
    blocks, totals = (
        [store.admin.hget(store.key(part), name) for name in names]
        for part, names in (("blocks", plan.wanted), ("totals", plan.wanted_totals))
    )
    return Plan(opened.name, found, plan.made(cast("Any", blocks), cast("Any", totals)).arguments("0-0"))


def send(store: RedisStore, sink: RedisSink, plan: Plan) -> bytes:
    """Merges as planned; what the script answers."""
    keys = list(store.keys.of(CLICKS_0))
    arguments = [plan.opened, plan.found.merged, *plan.arguments]
    (answer,) = store.run(sink._run(redis_sink._MERGE, [(keys, arguments)], "merge"))
    return bytes(answer)


# --- steps -------------------------------------------------------------------------------------------


@kept_or_not
def test_a_late_step_from_a_position_that_is_passed(
    store: RedisStore, other: RedisSink, without: Without, kept: bool
) -> None:
    if not kept:
        without.script("step", "if position ~= ARGV[2] then return 'conflict ' .. position end")
    opens(store, store.sink)
    counts(store, store.sink, 0, 10)
    assert opens(store, other) == 10
    counts(store, other, 10, 20)
    # the first worker still thinks that the partition is its own
    (late,) = counts(store, store.sink, 10, 25)
    if kept:
        assert late is Outcome.CONFLICT
        assert shown(store) == right(20)
    else:
        assert late is Outcome.APPLIED
        assert shown(store) == Shown(35, 0, 25)


@kept_or_not
def test_a_late_step_of_a_version_whose_name_another_one_has(
    store: RedisStore, other: RedisSink, without: Without, kept: bool
) -> None:
    if not kept:
        without.script("step", "if opened ~= ARGV[1] then return 'conflict opened-again' end")
    opens(store, store.sink)
    counts(store, store.sink, 0, 10)
    begins_again(store, other)
    assert opens(store, other) is None
    counts(store, other, 0, 10)
    # both stand at the same position of the same log; the version before took clicks for sales
    late = store.run(store.sink.apply([step(10, 20, cell_of(0, 1))]))[CLICKS_0]
    if kept:
        assert late is Outcome.CONFLICT
        assert shown(store) == right(10)
    else:
        assert late is Outcome.APPLIED
        assert shown(store) == Shown(10, 10, 20)


_PUT_BACK: Final = (
    "if ARGV[2] == '' then redis.call('HDEL', STATE, 'position') "
    "else redis.call('HSET', STATE, 'position', ARGV[2]) end"
)


@pytest.mark.parametrize("kept", ["with-the-rule", "without-putting-back", "without-looking"])
def test_two_epochs_of_a_step_whose_entry_redis_forbids(
    store: RedisStore, servers: Any, without: Without, kept: str
) -> None:
    if kept == "without-putting-back":
        without.script("step", _PUT_BACK)
    if kept == "without-looking":
        without.script("step", "type(added) == 'table' and added.err", "false")
    opens(store, store.sink)
    counts(store, store.sink, 0, 95)
    mine, admin = store.sink._client, cast("Any", store.admin)
    admin.execute_command("ACL", "SETUSER", "halver", "on", ">secret", "~*", "+@all", "-xadd")
    try:
        store.sink._client = AsyncRedis.from_url(servers.redis.replace("redis://", "redis://halver:secret@"))
        account = admin.hgetall(store.key("state"))
        two = store.sink.apply([replace(step(95, 105), floor=7)])
        if kept == "without-looking":
            assert store.run(two) == {CLICKS_0: Outcome.APPLIED}
        else:
            with pytest.raises(ConfigurationError, match="may not use"):
                store.run(two)
        store.run(store.sink._client.aclose())
    finally:
        store.sink._client = mine
        admin.execute_command("ACL", "DELUSER", "halver")
    if kept == "with-the-rule":
        assert admin.hgetall(store.key("state")) == account
        assert shown(store) == right(95)
        assert store.run(store.sink.check()) is None
        # allowed again
        assert counts(store, store.sink, 95, 105) == [Outcome.APPLIED]
        assert store.read().cells.keys() == {(offset // EPOCH, offset) for offset in range(105)}
        assert shown(store) == right(105)
    elif kept == "without-putting-back":
        assert shown(store) == Shown(95, 0, 105)
    else:
        # the position is there and its cells are not: nothing but the account tells
        assert stored_position(store) == 105
        with pytest.raises(UnavailableError, match="lost a key of the view"):
            shown(store)
        assert "log" in store.run(store.sink.check())


def stored_position(store: RedisStore) -> int:
    text: Any = store.admin.hget(store.key("state"), "position")
    return Position.decode(text.decode()).next


# --- merges ------------------------------------------------------------------------------------------


@kept_or_not
def test_two_workers_that_merge_the_same_entries(
    store: RedisStore, other: RedisSink, without: Without, kept: bool
) -> None:
    if not kept:
        without.script("merge", " or merged ~= ARGV[2] or account[10] ~= ARGV[4]")
    opens(store, store.sink)
    counts(store, store.sink, 0, 3, 6)
    opens(store, other)
    first = plan_of(store, other)
    counts(store, store.sink, 6, 9)
    second = plan_of(store, store.sink)
    assert send(store, other, first) == b"merged"
    assert send(store, store.sink, second) == (b"stale" if kept else b"merged")
    assert shown(store) == (right(9) if kept else Shown(15, 0, 9))


@kept_or_not
def test_a_worker_that_merges_less_than_is_merged(
    store: RedisStore, other: RedisSink, without: Without, kept: bool
) -> None:
    if not kept:
        without.script("merge", " or merged ~= ARGV[2] or account[10] ~= ARGV[4]")
    opens(store, store.sink)
    counts(store, store.sink, 0, 3, 6)
    opens(store, other)
    late = plan_of(store, other)
    counts(store, store.sink, 6, 9)
    store.settle()
    assert send(store, other, late) == (b"stale" if kept else b"merged")
    assert (shown(store) == right(9)) == kept


@kept_or_not
def test_a_late_merge_of_a_version_whose_name_another_one_has(
    store: RedisStore, other: RedisSink, without: Without, kept: bool
) -> None:
    if not kept:
        without.script("merge", " or opened ~= ARGV[1]")
    opens(store, store.sink)
    # it took clicks for sales
    store.run(store.sink.apply([step(0, 10, cell_of(0, 1))]))
    late = plan_of(store, store.sink)
    begins_again(store, other)
    opens(store, other)
    counts(store, other, 0, 10, 15)
    assert send(store, store.sink, late) == (b"stale" if kept else b"merged")
    assert shown(store) == (right(15) if kept else Shown(5, 10, 15))


@kept_or_not
def test_a_late_merge_on_a_redis_that_came_back_with_older_data(
    store: RedisStore, without: Without, kept: bool
) -> None:
    if not kept:
        without.script("merge", "ARGV[3] ~= merged and #redis.call('XRANGE', LOG, ARGV[3], ARGV[3]) == 0", "false")
    opens(store, store.sink)
    counts(store, store.sink, 0, 5)
    older: dict[str, Any] = {key: store.admin.dump(key) for key in store.all_keys()}
    counts(store, store.sink, 5, 10)
    late = plan_of(store, store.sink)
    for key, data in older.items():
        store.admin.restore(key, 0, data, replace=True)
    assert opens(store, store.sink) == 5
    answer = send(store, store.sink, late)
    if not kept:
        assert (answer, shown(store)) == (b"merged", Shown(10, 0, 5))
        return
    assert (answer, shown(store)) == (b"stale", right(5))
    counts(store, store.sink, 5, 12)
    assert shown(store) == right(12)


@kept_or_not
def test_a_late_merge_of_blocks_that_were_merged_twice_since(
    store: RedisStore, without: Without, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    if not kept:
        without.script("merge", " or account[10] ~= ARGV[4]")
    # nothing is merged unless it is sent here
    monkeypatch.setattr(store.sink, "_begin_merging", lambda: None)
    opens(store, store.sink)

    def moves_on(old: str, offset: int, epoch: int, *clicks: int) -> str:
        delta = delta_of({(each, each): {ALL: cell_of(1)} for each in clicks})
        assert store.run(store.sink.apply([Step(CLICKS_0, old, at(offset, epoch), delta)])) == {
            CLICKS_0: Outcome.APPLIED
        }
        return at(offset, epoch)

    there = ""
    for epoch in range(3):
        there = moves_on(there, epoch + 1, epoch, epoch)
        send(store, store.sink, plan_of(store, store.sink, keeps_all=True))
    # nothing but control records from here on; 16 epochs are closed, then 256
    there = moves_on(there, 4, 16)
    late = plan_of(store, store.sink, keeps_all=True)
    assert send(store, store.sink, late) == b"merged"
    moves_on(there, 5, 256)
    assert send(store, store.sink, plan_of(store, store.sink, keeps_all=True)) == b"merged"
    assert shown(store) == Shown(3, 0, 5)
    answer = send(store, store.sink, late)
    assert (answer, shown(store)) == ((b"stale", Shown(3, 0, 5)) if kept else (b"merged", Shown(6, 0, 5)))


def test_a_merge_of_more_than_a_script_takes_on_its_stack(store: RedisStore) -> None:
    opens(store, store.sink)
    epochs = 9_000
    cells = {(epoch, epoch): {ALL: cell_of(1)} for epoch in range(epochs)}
    steps = [Step(CLICKS_0, "", at(epochs, epochs), delta_of(cells))]
    assert store.run(store.sink.apply(steps)) == {CLICKS_0: Outcome.APPLIED}
    store.settle()
    assert store.admin.hlen(store.key("blocks")) == epochs
    store.floor.raise_floor(epochs - 1)
    store.run(store.sink.check())
    store.settle()
    assert store.admin.hlen(store.key("blocks")) == 1
    assert shown(store) == Shown(1, 0, epochs)


@pytest.mark.parametrize("change", ["no position", "an older account"])
def test_an_account_that_does_not_fit_its_log_is_noticed(store: RedisStore, change: str) -> None:
    opens(store, store.sink)
    counts(store, store.sink, 0, 5)
    older: Any = store.admin.dump(store.key("state"))
    if change == "no position":
        store.admin.hdel(store.key("state"), "position")
    else:
        store.settle()
        counts(store, store.sink, 5, 7)
        # as many entries as it says, and others
        store.admin.xdel(store.key("log"), "5-0")
        store.admin.delete(store.key("totals"), store.key("blocks"))
        store.admin.restore(store.key("state"), 0, older, replace=True)
        with pytest.raises(UnavailableError, match="log of clicks:0"):
            store.read()
    assert store.run(store.sink.check()) is not None
    assert opens(store, store.sink) is None


# --- the account -------------------------------------------------------------------------------------


@kept_or_not
@pytest.mark.parametrize(
    ("part", "rule"),
    [
        ("log", "redis.call('XLEN', LOG) ~= entries"),
        ("totals", "redis.call('HLEN', TOTALS) ~= totals"),
        ("blocks", "redis.call('HLEN', BLOCKS) ~= blocks"),
    ],
    ids=["log", "totals", "blocks"],
)
def test_a_key_that_is_lost(store: RedisStore, without: Without, kept: bool, part: str, rule: str) -> None:
    if not kept:
        without.script("partition", rule, "false")
    opens(store, store.sink)
    counts(store, store.sink, 0, 4)
    store.settle()
    counts(store, store.sink, 4, 6)
    store.lose(CLICKS_0, part)
    (after,) = counts(store, store.sink, 6, 9)
    if kept:
        assert after is Outcome.CONFLICT
        with pytest.raises(UnavailableError, match=f"lost a key of the view.*{part}"):
            shown(store)
        assert part in store.run(store.sink.check())
        assert opens(store, store.sink) is None
        counts(store, store.sink, 0, 9)
        store.settle()
        assert shown(store) == right(9)
        assert in_totals(store) == 9
        return
    assert after is Outcome.APPLIED
    assert store.run(store.sink.check()) is None
    # with the next merge the account is of what is there, and no reader can tell any more
    store.settle()
    missing = {"log": 2, "totals": 4, "blocks": 4}[part]
    assert shown(store) == (right(9) if part == "totals" else Shown(9 - missing, 0, 9))
    assert in_totals(store) == (9 if part == "blocks" else 9 - missing)


def in_totals(store: RedisStore) -> int:
    """Clicks in the packed totals."""
    packed: Any = store.admin.hvals(store.key("totals"))
    return sum(Block.unpack(data, MEASURES).table.totals()[ALL][0] for data in packed)


# --- incarnations ------------------------------------------------------------------------------------

_SAME: Final = " and born == ARGV[1]"


@pytest.mark.parametrize("kept", ["both", "reader", "none"])
def test_a_version_of_a_job_whose_name_comes_back(
    store: RedisStore, other: RedisSink, without: Without, kept: str
) -> None:
    if kept != "both":
        without.script("open", _SAME)
    if kept == "none":
        without.reader("_check", 'state[b"born"] != self._born', "False")
    opens(store, store.sink)
    store.run(store.sink.apply([step(0, 10, cell_of(0, 1))]))
    begins_again(store, other)
    there = opens(store, other)
    if kept == "both":
        assert there is None
        counts(store, other, 0, 15)
        assert shown(store) == right(15)
        return
    # it goes on from where the version before was
    assert there == 10
    counts(store, other, 10, 15)
    if kept == "reader":
        # and would never be shown
        assert store.run(other.check()) is None
        with pytest.raises(UnavailableError, match="lost a key of the view"):
            shown(store)
    else:
        assert shown(store) == Shown(5, 10, 15)


@kept_or_not
def test_the_floor_of_the_incarnation_before(store: RedisStore, other: RedisSink, without: Without, kept: bool) -> None:
    if not kept:
        without.script("open", "if born ~= ARGV[1] then floor = 0 end")
    opens(store, store.sink)
    counts(store, store.sink, 0, 300)
    store.floor.raise_floor(2)
    begins_again(store, other)
    opens(store, other)
    counts(store, other, 0, 300)
    assert shown(store) == (right(300) if kept else Shown(100, 0, 300))


@kept_or_not
def test_the_floor_of_a_partition_that_is_counted_again(store: RedisStore, without: Without, kept: bool) -> None:
    if not kept:
        without.script("open", "'floor', text(floor)", "'floor', '0'")
    opens(store, store.sink)
    counts(store, store.sink, 0, 300)
    # a batch view covers two epochs
    store.floor.raise_floor(2)
    assert shown(store) == Shown(100, 0, 300)
    store.lose(CLICKS_0, "log")
    assert opens(store, store.sink) is None
    counts(store, store.sink, 0, 300)
    # what is shown beside the batch view, twice without the rule
    assert shown(store) == (Shown(100, 0, 300) if kept else right(300))


# --- readers -----------------------------------------------------------------------------------------

_CHAIN: Final = " or follows != followed.last"


@kept_or_not
def test_a_reader_whose_redis_came_back_with_older_data(store: RedisStore, without: Without, kept: bool) -> None:
    if not kept:
        without.reader("_advance", _CHAIN)
    opens(store, store.sink)
    counts(store, store.sink, 0, 5, 10)
    older: dict[str, Any] = {key: store.admin.dump(key) for key in store.all_keys()}
    counts(store, store.sink, 10, 15, 20)
    reader = RedisReader(Redis.from_url(store.address), store.namespace, SHOP)
    assert shown(store, reader) == right(20)
    for key, data in older.items():
        store.admin.restore(key, 0, data, replace=True)
    assert opens(store, store.sink) == 10
    # as other polls bring it
    counts(store, store.sink, 10, 17, 24)
    assert shown(store, reader) == (right(24) if kept else Shown(27, 0, 24))
    assert shown(store) == right(24)
    reader.close()


@kept_or_not
def test_a_reader_that_missed_more_than_the_log_keeps(store: RedisStore, without: Without, kept: bool) -> None:
    if not kept:
        without.reader("_advance", _CHAIN)
    # entries that were merged go at once, and with the next merge
    now = iter(range(0, 10**6, 1000))
    store.sink._clock = lambda: float(next(now))
    opens(store, store.sink)
    counts(store, store.sink, 0, 3)
    reader = RedisReader(Redis.from_url(store.address), store.namespace, SHOP)
    assert shown(store, reader) == right(3)
    for end in (6, 9, 12):
        counts(store, store.sink, end - 3, end)
        store.settle()
    assert shown(store, reader) == (right(12) if kept else Shown(6, 0, 12))
    reader.close()
