"""The scripts of a partition in a Redis Cluster: slots move, primaries die, and cells are those of the position.

The product connects to one server. Here a writer of the test's own calls its scripts, packs and merges as it does, and
follows a cluster's redirections. What a partition must hold is a dictionary that knows nothing but the position.
FOURFOLD_CHAOS_SECONDS makes it longer, FOURFOLD_CHAOS_SEED repeats a run.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any, Final, NamedTuple

import pytest
import redis.exceptions
from redis import Redis
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterDownError,
    MovedError,
    NoScriptError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from redis.retry import Retry

from adapters.speed.blocks import Block, BlockName, block_of_entries
from adapters.speed.increments import packed
from adapters.speed.keys import ViewKeys
from adapters.speed.merging import Found, merged, place_of
from adapters.speed.scripts import script
from core.cells import Cell
from core.position import PartitionKey, Position
from core.rollup import Rollup
from core.sketch import Sketch
from tests.support.busy import allowed
from tests.support.events import at, delta_of
from tests.support.redis_cluster import RedisCluster
from tests.support.shop import MEASURES, cell_of
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.own_servers]

SECONDS = float(os.environ.get("FOURFOLD_CHAOS_SECONDS", "14"))
SEED = int(os.environ.get("FOURFOLD_CHAOS_SEED", "0")) or Random().randrange(1, 1_000_000)
#: From one kill of a primary to the next, in the long form.
KILL_EVERY_S = 20.0
BOUND_S = 20.0
#: Between steps of a writer, and between tries of one command.
PACE_S, PAUSE_S, LONGEST_PAUSE_S = 0.008, 0.004, 0.06
#: Redirections that are followed at once.
MOST_HOPS = 5
EPOCH = 25
#: Epochs that a view keeps of which they expire.
KEPT = 40
COUNTRIES: Final = ("DE", "FR", "ü|:", "")
BORN = "b0"
KEYS = ("state", "log", "totals", "blocks")
ALL = ("all", "")
SCRIPTS: Final = {name: script(name) for name in ("open", "step", "merge", "check")}
#: What passes: a node is away, or begins, or is no primary any more.
AWAY: Final = (
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    ClusterDownError,
    BusyLoadingError,
    ReadOnlyError,
)
#: All of a partition at one instant.
READ = """return {redis.call('HGETALL', KEYS[1]), redis.call('XRANGE', KEYS[2], '-', '+'),
  redis.call('HGETALL', KEYS[3]), redis.call('HGETALL', KEYS[4])}"""


# --- what is counted -------------------------------------------------------------------------------


class Record(NamedTuple):
    epoch: int
    minute: int
    country: str
    user: str
    cell: Cell


def record(source: PartitionKey, offset: int) -> Record:
    """The record of an offset, always the same."""
    dice = Random(f"{SEED}/{source}/{offset}")
    cell = cell_of(1) if dice.random() < 0.7 else cell_of(0, 1, dice.randrange(1, 9), dice.randrange(-500, 5_000))
    epoch = offset // EPOCH
    return Record(epoch, epoch // 4 + dice.randrange(5), dice.choice(COUNTRIES), f"u{dice.randrange(300)}", cell)


def position(offset: int) -> str:
    return at(offset, (offset - 1) // EPOCH) if offset else ""


Sums = dict[tuple[int, int, str, str], tuple[int, ...]]


class Held(NamedTuple):
    """Cells by epoch (0 for all where none expires), minute, dimension and value; sums, users and counters likewise."""

    cells: Sums
    totals: Sums
    users: dict[tuple[int, int], Sketch]
    counters: dict[int, dict[str, int]]


class Truth:
    """What a partition must hold, by its position alone. For one thread."""

    def __init__(self, source: PartitionKey, *, keeps_all: bool) -> None:
        self._source = source
        self._keeps_all = keeps_all
        self._at = 0
        self._begin(0)

    def _begin(self, offset: int) -> None:
        self._at = offset
        self._cells: Sums = {}
        self._users: dict[tuple[int, int], set[str]] = {}
        self._counters: dict[int, Counter[str]] = {}

    def of(self, offset: int, floor: int) -> Held:
        if offset < self._at:
            # the position went back
            self._begin(floor * EPOCH)
        for number in range(self._at, offset):
            self._add(record(self._source, number))
        self._at = offset
        self._cells = {key: cell for key, cell in self._cells.items() if key[0] >= floor}
        self._users = {place: found for place, found in self._users.items() if place[0] >= floor}
        self._counters = {epoch: found for epoch, found in self._counters.items() if epoch >= floor}
        totals: Sums = {}
        for (epoch, _, *where), cell in self._cells.items():
            _add(totals, (epoch, 0, where[0], where[1]), cell)
        users = {place: Sketch.of(found) for place, found in self._users.items()}
        return Held(dict(self._cells), totals, users, {e: dict(found) for e, found in self._counters.items()})

    def _add(self, found: Record) -> None:
        epoch = 0 if self._keeps_all else found.epoch
        for where in (ALL, ("country", found.country)):
            _add(self._cells, (epoch, found.minute, *where), found.cell)
        self._users.setdefault((epoch, found.minute), set()).add(found.user)
        self._counters.setdefault(epoch, Counter())["accepted"] += 1


def _add(sums: Sums, key: tuple[int, int, str, str], cell: tuple[int, ...]) -> None:
    old = sums.get(key)
    sums[key] = tuple(cell) if old is None else tuple(a + b for a, b in zip(old, cell, strict=True))


# --- what is there ---------------------------------------------------------------------------------


class Picture(NamedTuple):
    """All of a partition at one instant, as Redis has it."""

    state: Mapping[bytes, bytes]
    entries: Sequence[tuple[bytes, Mapping[bytes, bytes]]]
    totals: Mapping[bytes, bytes]
    blocks: Mapping[bytes, bytes]

    @classmethod
    def of(cls, answer: Any) -> Picture:
        state, entries, totals, blocks = answer
        return cls(_pairs(state), [(n, _pairs(fields)) for n, fields in entries], _pairs(totals), _pairs(blocks))

    @property
    def next(self) -> int:
        text = self.state.get(b"position")
        return 0 if text is None else Position.decode(text.decode()).next

    @property
    def floor(self) -> int:
        return int(self.state[b"floor"])

    @property
    def after(self) -> list[tuple[bytes, Mapping[bytes, bytes]]]:
        """Entries that are not merged yet."""
        merged_to = place_of(self.state[b"merged"])
        return [entry for entry in self.entries if place_of(entry[0]) > merged_to]

    def found(self) -> Found:
        return Found.of(self.state, self.after, self.blocks, self.totals)

    def held(self, *, keeps_all: bool) -> Held:
        """By the product's own unpacking."""
        new = block_of_entries((entry for _, entry in self.after), MEASURES)
        blocks = [(BlockName.parse(name.decode()).first, data) for name, data in self.blocks.items()]
        sums = [(0 if name == b"all" else int(name), data) for name, data in self.totals.items()]
        parts = [*((epoch, Block.unpack(data, MEASURES)) for epoch, data in blocks), *new.items()]
        held = Held({}, {}, {}, {})
        for first, block in parts:
            epoch = 0 if keeps_all else first
            if epoch < self.floor:
                continue
            for key, cell in block.table.cells().items():
                _add(held.cells, (epoch, *key), cell)
            for minute, sketch in block.users.items():
                held.users.setdefault((epoch, minute), Sketch()).merge(sketch)
            for counters in block.counters.values():
                held.counters[epoch] = dict(Counter(held.counters.get(epoch, {})) + Counter(counters))
        for first, block in [
            *((epoch, Block.unpack(data, MEASURES)) for epoch, data in sums),
            *((epoch, block.totals()) for epoch, block in new.items()),
        ]:
            epoch = 0 if keeps_all else first
            if epoch >= self.floor:
                for key, cell in block.table.cells().items():
                    _add(held.totals, (epoch, *key), cell)
        return held

    def untrue(self, truth: Truth, *, keeps_all: bool) -> list[str]:
        """What does not belong to its position, in words."""
        if not self.state:
            return []
        found, wanted = self.held(keeps_all=keeps_all), truth.of(self.next, self.floor)
        wrong = [
            f"{name} at {self.next}: {dict(list(_apart(mine, theirs).items())[:3])}"
            for name, mine, theirs in zip(Held._fields, found, wanted, strict=True)
            if mine != theirs
        ]
        account = [int(self.state[name]) for name in (b"entries", b"totals", b"blocks")]
        if account != [len(self.entries), len(self.totals), len(self.blocks)]:
            wrong.append(f"the account says {account}")
        if self.state.get(b"position", b"").decode() != position(self.next):
            wrong.append(f"position {self.state[b'position']!r}")
        for (before, _), (number, entry) in zip(self.entries, self.entries[1:], strict=False):
            if entry[b"p"] != before:
                wrong.append(f"{number!r} follows {entry[b'p']!r}, not {before!r}")
        if self.entries and self.entries[-1][0] != self.state[b"last"]:
            wrong.append(f"the last entry is {self.entries[-1][0]!r}, not {self.state[b'last']!r}")
        return wrong


def _pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _apart(mine: Any, theirs: Any) -> dict[Any, tuple[Any, Any]]:
    keys = mine.keys() | theirs.keys()
    return {key: (mine.get(key), theirs.get(key)) for key in keys if mine.get(key) != theirs.get(key)}


# --- who asks --------------------------------------------------------------------------------------


class UnreachableError(Exception):
    """No answer, however often it was tried. Its cause says why."""


class Way:
    """Asks the node that has the slot, with bounded retries. For one thread."""

    def __init__(self, ports: Sequence[int], *, bound_s: float = BOUND_S) -> None:
        once = Retry(NoBackoff(), 0)
        self._nodes: dict[int, Any] = {port: Redis(port=port, socket_timeout=10.0, retry=once) for port in ports}
        self._ports = list(ports)
        self._port = ports[0]
        self.bound_s = bound_s
        self.seen: Counter[str] = Counter()
        self.longest = 0.0
        self.tries = 0

    def run(self, text: str, keys: Sequence[str], *arguments: object, patient: bool = True) -> Any:
        """A script by its digest, which each node has to be told once. `patient`: also where a node is away."""
        sha = hashlib.sha1(text.encode()).hexdigest()
        return self._ask(("EVALSHA", sha, len(keys), *keys, *arguments), text, patient=patient)

    def _ask(self, command: Sequence[object], text: str, *, patient: bool) -> Any:
        asks: int | None = None
        problem: Exception | None
        pause, began, hops = PAUSE_S, time.monotonic(), 0
        while True:
            port, problem = self._port if asks is None else asks, None
            try:
                answer = self._once(port, command, text, asking=asks is not None)
            except MovedError as error:
                # a subclass of AskError: first
                kind, problem, asks, self._port = "MOVED", error, None, error.port
            except AskError as error:
                kind, problem, asks = "ASK", error, error.port
            except TryAgainError as error:
                # from the beginning: it may have moved meanwhile
                kind, problem, asks = "TRYAGAIN", error, None
            except AWAY as error:
                kind, problem, asks = "away", error, None
                # others know who has it now
                self._port = self._ports[(self._ports.index(port) + 1) % len(self._ports)]
            else:
                self.longest = max(self.longest, time.monotonic() - began)
                return answer
            self.seen[kind] += 1
            hops += 1
            if kind in ("MOVED", "ASK") and hops % MOST_HOPS:
                continue
            if self._late(began) or (kind == "away" and not patient):
                raise UnreachableError(kind) from problem
            _never.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    def _once(self, port: int, command: Sequence[object], text: str, *, asking: bool) -> Any:
        self.tries += 1
        with self._nodes[port].pipeline(transaction=False) as commands:
            if asking:
                commands.execute_command("ASKING")
            commands.execute_command(*command)
            answer = commands.execute(raise_on_error=False)[-1]
        if isinstance(answer, NoScriptError):
            self.seen["NOSCRIPT"] += 1
            self._nodes[port].script_load(text)
            return self._once(port, command, text, asking=asking)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _late(self, began: float) -> bool:
        waited = time.monotonic() - began
        return waited >= self.bound_s and waited >= allowed(self.bound_s)

    def close(self) -> None:
        for node in self._nodes.values():
            node.close()


_never = threading.Event()


class Writer:
    """A worker of one partition, without a log: the records are those of `record`."""

    def __init__(
        self,
        cluster: RedisCluster,
        source: PartitionKey,
        *,
        keeps_all: bool = False,
        bound_s: float = BOUND_S,
        scripts: Mapping[str, str] = SCRIPTS,
    ) -> None:
        self.source = source
        self.keys = list(VIEW.of(source))
        self.slot = slot_of(source)
        self.keeps_all = keeps_all
        self.way = Way(cluster.addresses, bound_s=bound_s)
        self.next = 0
        self.opened = b""
        #: what each command was answered, and how far the position went back
        self.answers: Counter[str] = Counter()
        self.back = 0
        self._bound = 0
        #: keys that are said to be the scripts'
        self.declared = self.keys
        self._scripts = scripts

    def call(self, name: str, *arguments: object, patient: bool = True) -> Any:
        return self.way.run(self._scripts[name], self.declared, *arguments, patient=patient)

    def open(self) -> str:
        """As a worker that knows nothing; what was lost, or ""."""
        answer = self.call("open", BORN, uuid.uuid4().hex[:12])
        self.opened, text, bound, _, lost = answer
        there = Position.decode(text.decode()).next if text else 0
        self.back = max(self.back, self.next - there)
        self.next, self._bound = there, int(bound)
        return str(lost.decode())

    def step(self, count: int, times: int = 1) -> str:
        """One step of so many records, sent so often; the first answer's first word."""
        new = self.next + count
        found = [record(self.source, number) for number in range(self.next, new)]
        cells: dict[tuple[int, int], dict[tuple[str, str], Cell]] = {}
        users: dict[tuple[int, int], list[str]] = {}
        quality: dict[int, Counter[str]] = {}
        for each in found:
            place = (each.epoch, each.minute)
            held = cells.setdefault(place, {})
            for where in (ALL, ("country", each.country)):
                held[where] = held[where].plus(each.cell) if where in held else each.cell
            users.setdefault(place, []).append(each.user)
            quality.setdefault(each.epoch, Counter())["accepted"] += 1
        adds = packed(delta_of(cells, users=users, quality=quality), MEASURES)
        floor = 0 if self.keeps_all else max(0, found[-1].epoch - KEPT)
        bound = self._bound + adds.largest
        arguments = (self.opened, position(self.next), position(new), f"{new}-0", *adds[:2], floor, bound)
        answers = [self.call("step", *arguments).decode() for _ in range(times)]
        for answer in answers:
            # positions left out
            self.answers[" ".join(word for word in answer.split() if not word[0].isdigit())] += 1
        said: str = answers[-1].split()[0]
        if said != "conflict":
            self.next, self._bound = new, bound
        return said

    def look(self) -> Picture:
        return Picture.of(self.way.run(READ, self.keys))

    def merge(self, picture: Picture | None = None) -> str:
        """Merges what a picture shows; now, if none is given."""
        picture = picture or self.look()
        if not picture.state:
            return "nothing"
        plan = merged(picture.found(), MEASURES, Rollup(10**9, 10**9) if self.keeps_all else None)
        if plan is None:
            return "nothing"
        blocks = [picture.blocks[name.encode()] for name in plan.wanted]
        plan = plan.made(blocks, [picture.totals[name.encode()] for name in plan.wanted_totals])
        state = picture.state
        # as much as was merged before goes
        arguments = (state[b"opened"], state[b"merged"], *plan.arguments(state[b"merged"].decode()))
        try:
            # repeated, too, where a primary was away that may have older data now
            said: str = self.call("merge", *arguments).decode()
        except UnreachableError:
            if self.way.bound_s == 0:
                raise
            said = "not merged"
        self.answers[said] += 1
        return said

    def untrue(self) -> list[str]:
        return self.look().untrue(Truth(self.source, keeps_all=self.keeps_all), keeps_all=self.keeps_all)


class Threads:
    """Work that goes on until it is stopped, or something breaks."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.broken: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def start(self, work: Callable[[], None], pace_s: float) -> None:
        def run() -> None:
            try:
                while not self.stop.wait(pace_s):
                    work()
            except BaseException as error:  # noqa: BLE001 - told to the test
                self.broken.append(error)
                self.stop.set()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self._threads.append(thread)

    def join(self) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join(2 * BOUND_S)
        if self.broken:
            raise self.broken[0]


VIEW: Final = ViewKeys("cluster-test")


def sources(cluster: RedisCluster, per_primary: int) -> list[PartitionKey]:
    """Partitions that nobody has used, so many with each primary; the first of each come first."""
    topic, found = f"t{uuid.uuid4().hex[:8]}", {node.port: list[PartitionKey]() for node in cluster.primaries()}
    for number in range(1_000):
        source = PartitionKey(topic, number)
        mine = found[cluster.owner(slot_of(source)).port]
        if len(mine) < per_primary:
            mine.append(source)
        if all(len(each) == per_primary for each in found.values()):
            break
    return [source for row in zip(*found.values(), strict=True) for source in row]


def slot_of(source: PartitionKey) -> int:
    return int(key_slot(VIEW.of(source).state.encode()))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    with RedisCluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


# --- whatever moves, whoever dies ------------------------------------------------------------------


class Load:
    """Writers that step, merge, forget all and begin again; and one who looks, and merges what it saw a while ago."""

    def __init__(self, cluster: RedisCluster, threads: Threads, found: Sequence[PartitionKey]) -> None:
        self.writers = [Writer(cluster, source, keeps_all=number % 3 == 2) for number, source in enumerate(found)]
        self.looks = 0
        self.untrue: list[str] = []
        self._watchers = [Writer(cluster, writer.source, keeps_all=writer.keeps_all) for writer in self.writers]
        self._truths = [Truth(writer.source, keeps_all=writer.keeps_all) for writer in self.writers]
        self._dice = Random(SEED + 1)
        for number, writer in enumerate(self.writers):
            writer.open()
            threads.start(self._work(writer, Random(SEED + 2 + number)), PACE_S)
        threads.start(self.look_at_one, 4 * PACE_S)

    def _work(self, writer: Writer, dice: Random) -> Callable[[], None]:
        def work() -> None:
            said = writer.step(dice.randrange(1, 6), 2 if dice.random() < 0.05 else 1)
            if dice.random() < 0.05:
                writer.merge()
            if dice.random() < 0.02:
                writer.answers[writer.call("check", writer.opened).decode()] += 1
            if said == "conflict" or dice.random() < 0.01:
                writer.answers[f"opened {writer.open()}"] += 1

        return work

    def look_at_one(self) -> None:
        number = self._dice.randrange(len(self.writers))
        watcher = self._watchers[number]
        picture = watcher.look()
        self.compare(number, picture)
        if self._dice.random() < 0.2:
            # a worker that had the partition before
            _never.wait(2 * PACE_S)
            watcher.merge(picture)

    def compare(self, number: int, picture: Picture) -> None:
        self.looks += 1
        source = self.writers[number].source
        self.untrue += [
            f"{source}: {text}"
            for text in picture.untrue(self._truths[number], keeps_all=self.writers[number].keeps_all)
        ]

    def at_the_end(self) -> None:
        for number, writer in enumerate(self.writers):
            picture = writer.look()
            assert picture.next == writer.next
            self.compare(number, picture)

    def sum(self, what: Callable[[Writer], Counter[str]]) -> Counter[str]:
        return sum(map(what, [*self.writers, *self._watchers]), Counter())


def moved_on(writers: Sequence[Writer], records: int, threads: Threads) -> None:
    """Returns when each writer is so many records further."""
    goals = [(writer, writer.next + records) for writer in writers]
    until(
        lambda: threads.stop.is_set() or all(writer.next >= goal for writer, goal in goals),
        within_s=BOUND_S,
        what="the writers to go on",
        every_s=0.002,
    )


@pytest.mark.chaos
@pytest.mark.timeout(SECONDS * 3 + 120)
def test_cells_are_those_of_the_position_whatever_moves_and_whoever_dies(
    cluster: RedisCluster, say: Callable[[str], None]
) -> None:
    random, threads = Random(SEED), Threads()
    load = Load(cluster, threads, sources(cluster, 2))
    began, moves, kills = time.monotonic(), 0, 0
    try:
        while not threads.stop.is_set() and (passed := time.monotonic() - began) < SECONDS:
            if passed > SECONDS / 3 and passed > kills * KILL_EVERY_S:
                kills += 1
                victim = cluster.owner(random.choice(load.writers).slot)
                its = [writer for writer in load.writers if cluster.owner(writer.slot) is victim]
                # so much is lost
                cluster.fail_over(victim, lambda its=its: moved_on(its, 20, threads))  # type: ignore[misc]
                moved_on(load.writers, 1, threads)
                cluster.revive(victim)
            writer = random.choice(load.writers)
            target = random.choice([node for node in cluster.primaries() if node is not cluster.owner(writer.slot)])
            moving = writer.slot
            # asked at each stage
            cluster.move(moving, target, lambda writer=writer: asked_again(writer, threads))  # type: ignore[misc]
            moves += 1
            moved_on([writer], 1, threads)
    finally:
        threads.join()
    load.at_the_end()
    seen, answers = load.sum(lambda writer: writer.way.seen), load.sum(lambda writer: writer.answers)
    backs = [writer.back for writer in load.writers]
    longest = max(writer.way.longest for writer in load.writers)
    say(
        f"cluster for {SECONDS:g} s, FOURFOLD_CHAOS_SEED={SEED}: {sum(w.next for w in load.writers):,} records, "
        f"{moves} slots moved, {kills} primaries killed, positions back by {backs}; {load.looks} looks, "
        f"{len(load.untrue)} untrue; {dict(seen)}; {dict(answers)}; longest command {longest:.2f} s"
    )
    assert not load.untrue, load.untrue[:5]
    assert not [answer for answer in answers if "damaged" in answer or answer.removeprefix("opened ") in KEYS]
    # all of it happened
    assert moves > SECONDS / 4
    assert kills
    assert max(backs) >= 20
    assert load.looks > SECONDS
    assert all(seen[kind] for kind in ("MOVED", "TRYAGAIN", "away", "NOSCRIPT"))
    assert all(answers[kind] for kind in ("applied", "already", "conflict", "merged", "whole", "opened "))


def asked_again(writer: Writer, threads: Threads) -> None:
    """Returns when a writer has asked once more, whatever it was answered."""
    before = writer.way.tries
    until(
        lambda: threads.stop.is_set() or writer.way.tries > before,
        within_s=BOUND_S,
        what=f"the writer of {writer.source} to ask",
        every_s=0.002,
    )


# --- half a slot -----------------------------------------------------------------------------------


def with_all_keys(cluster: RedisCluster, source: PartitionKey, scripts: Mapping[str, str] = SCRIPTS) -> Writer:
    """A partition with each of its keys, and a writer that gives up at once."""
    writer = Writer(cluster, source, bound_s=0.0, scripts=scripts)
    writer.open()
    for _ in range(4):
        assert writer.step(7) == "applied"
    assert writer.merge() == "merged"
    for _ in range(4):
        assert writer.step(7) == "applied"
    return writer


def test_half_a_slot_takes_nothing_and_loses_nothing(cluster: RedisCluster) -> None:
    (source, *_) = sources(cluster, 1)
    writer = with_all_keys(cluster, source)
    before = writer.next
    (target, _) = [node for node in cluster.primaries() if node is not cluster.owner(writer.slot)]
    move = cluster.moving(writer.slot, target)
    assert writer.open() == ""
    assert writer.step(7) == "applied"
    for key in writer.keys[:-1]:
        move.send(key)
        for act in (writer.open, lambda: writer.step(7), writer.look, lambda: writer.call("check", writer.opened)):
            with pytest.raises(UnreachableError, match="TRYAGAIN"):
                act()
    move.send(writer.keys[-1])
    # all of it is there, though the slot is not yet
    assert writer.step(7) == "applied"
    assert writer.way.seen["ASK"] > 0
    move.end()
    assert writer.step(7) == "applied"
    assert writer.open() == ""
    assert writer.next == before + 21
    assert cluster.owner(writer.slot) is target
    assert writer.untrue() == []
    writer.way.close()


def test_a_slot_is_torn_by_scripts_that_make_up_names_of_keys(cluster: RedisCluster) -> None:
    (source, *_) = sources(cluster, 1)
    declared = "KEYS[1], KEYS[2], KEYS[3], KEYS[4]"
    assert all(declared in text for text in SCRIPTS.values())
    made_up = ", ".join(f"KEYS[1] .. ':{key.rsplit(':', 1)[1]}'" for key in VIEW.of(source))
    writer = with_all_keys(cluster, source)
    before = writer.next
    assert writer.untrue() == []
    scripts = {name: text.replace(declared, made_up) for name, text in SCRIPTS.items()}
    deletes = "redis.call('DEL', STATE, LOG, TOTALS, BLOCKS)"
    assert deletes in scripts["open"]
    # newer servers refuse this one, and all else goes through; there is nothing to delete where it would
    torn = Writer(cluster, source, scripts={**scripts, "open": scripts["open"].replace(deletes, "")})
    # as the layout before did: a key that never is
    torn.declared = [writer.keys[0].removesuffix(":state")]
    torn.open()
    assert torn.next == before
    (target, _) = [node for node in cluster.primaries() if node is not cluster.owner(writer.slot)]
    move = cluster.moving(writer.slot, target)
    # nothing was lost, and it counts again from the beginning
    torn.open()
    assert torn.next == 0
    assert torn.step(7) == "applied"
    with pytest.raises(ResponseError, match="BUSYKEY"):
        move.send(writer.keys[0])
    for node in (target, move.source):
        node.said("SETSLOT", writer.slot, "STABLE")
    for each in (writer, torn):
        each.way.close()


@pytest.mark.timeout(120)
def test_a_partition_whose_slot_is_torn_by_a_primary_that_dies_is_counted_again(cluster: RedisCluster) -> None:
    """One key of each partition is with the target already. Of half of them the replica never learns that it went."""
    found = sources(cluster, 8)
    source = cluster.owner(slot_of(found[0]))
    writers = [with_all_keys(cluster, each) for each in found if cluster.owner(slot_of(each)) is source]
    (target, _) = [node for node in cluster.primaries() if node is not source]
    moves = [cluster.moving(writer.slot, target) for writer in writers]
    half = len(writers) // 2
    for number in range(half):
        moves[number].send(writers[number].keys[number])
    assert source.admin.execute_command("WAIT", 1, 10_000) == 1

    def late() -> None:
        for number in range(half, 2 * half):
            moves[number].send(writers[number].keys[number - half])

    heir = cluster.fail_over(source, late)
    cluster.revive(source)
    for number, writer in enumerate(writers):
        writer.way.bound_s = BOUND_S
        before = writer.next
        if number >= half:
            # two keys of one name: the one that counts is the owner's
            assert writer.step(7) == "applied"
            assert writer.next == before + 7
        else:
            key = writer.keys[number].rsplit(":", 1)[1]
            assert writer.step(7) == "conflict"
            # where the account itself is gone, nobody knows that there was one
            assert writer.open() == ("" if key == "state" else key)
            assert writer.next == 0
            assert writer.step(5) == "applied"
            assert writer.merge() == "merged"
            assert writer.step(5) == "applied"
        assert writer.untrue() == []
    # as an operator ends it: the owner's keys are the right ones
    for number, writer in enumerate(writers):
        heir.said("SETSLOT", writer.slot, "MIGRATING", target.id)
        move = moves[number]
        move.source = heir
        move.others = [node for node in cluster.primaries() if node not in (heir, target)]
        stale = writer.keys[number % half]
        with pytest.raises(ResponseError, match="BUSYKEY"):
            move.send(stale)
        while left := move.left():
            move.send(left[0], "REPLACE")
        move.end()
        assert cluster.owner(writer.slot) is target
        assert writer.step(7) == "applied"
        assert writer.untrue() == []
        writer.way.close()
