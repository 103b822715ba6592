"""What the chaos test does to servers and workers."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from adapters.embedded.servers import EmbeddedServers
from modes.supervisor import Child
from tests.support.chaos_crew import Crew
from tests.support.chaos_group import Group
from tests.support.chaos_pulse import Positions, Pulse
from tests.support.waiting import until

#: A position that does not move for so long after a fault will not move at all.
GIVE_UP_S: Final = 60.0
SETTLE_BOUND_S: Final = 300.0


class Recovery(NamedTuple):
    """Seconds from the end of a fault until every partition counted again, and the machine's load."""

    seconds: float
    load: float


@dataclass(slots=True)
class Hands:
    """What a fault may touch, and what it found out.

    `recoveries`: by what was waited for, how long it took until events flowed again.
    """

    servers: EmbeddedServers
    crew: Crew
    group: Group
    pulse: Pulse
    random: Random
    say: Callable[[str], None]
    #: none is the right answer of a worker with a rule switched off
    must_recover: bool = True
    recoveries: dict[str, list[Recovery]] = field(default_factory=lambda: defaultdict(list))
    #: how often each fault was done; one that did nothing fails
    happened: Counter[str] = field(default_factory=Counter)
    _never: threading.Event = field(default_factory=threading.Event)

    def gap(self, least_s: float, most_s: float) -> None:
        """A random while in which nothing is done."""
        self._never.wait(self.random.uniform(least_s, most_s))

    def until(self, moment: float) -> None:
        """Waits until a moment, in seconds since 1970."""
        self._never.wait(max(0.0, moment - time.time()))

    def victim(self) -> Child:
        """A worker that runs."""
        return self.random.choice(until(lambda: self.crew.running, within_s=SETTLE_BOUND_S, what="a worker that runs"))

    def strike(self, child: Child, number: signal.Signals) -> None:
        """A signal that must find a process."""
        assert self.crew.send(child, number), f"{child.name} had ended before it got {number.name}"

    def settle(self) -> None:
        """Returns when no rebalance is under way and the view is not behind."""
        until(
            lambda: self.group.stable_members() == len(self.crew.running),
            within_s=SETTLE_BOUND_S,
            what="the group to consist of the workers that run",
            every_s=0.2,
        )
        caught_up = self.pulse.flow_after(time.time(), {}, SETTLE_BOUND_S)
        assert caught_up is not None, f"the view is not up to date after {SETTLE_BOUND_S:g} s"

    def flows(self, what: str, since: float, before: Positions) -> None:
        """Waits until every partition counts again; notes how long that took."""
        seconds = self.pulse.flow_after(since, before, GIVE_UP_S)
        self.say(f"{what}: events flow after {'no time' if seconds is None else f'{seconds:.1f} s'}")
        if seconds is None:
            assert not self.must_recover, f"{what}: a partition does not move for {GIVE_UP_S:g} s"
        else:
            self.recoveries[what].append(Recovery(seconds, os.getloadavg()[0]))


def kill_worker(hands: Hands) -> None:
    """kill -9; the supervisor starts it again."""
    before, victim = hands.pulse.last.positions, hands.victim()
    hands.strike(victim, signal.SIGKILL)
    hands.flows("worker killed", time.time(), before)


def freeze_worker(hands: Hands) -> None:
    """SIGSTOP beyond the session timeout, then SIGCONT: a zombie that still means to own."""
    before, victim = hands.pulse.last.positions, hands.victim()
    began = time.time()
    hands.strike(victim, signal.SIGSTOP)
    # the others count its partitions: its session is over
    hands.flows("worker frozen", began, before)
    hands.gap(0, 4)
    before = hands.pulse.last.positions
    hands.strike(victim, signal.SIGCONT)
    hands.flows("worker thawed", time.time(), before)


def end_worker(hands: Hands) -> None:
    """A worker is added, and ended by SIGTERM."""
    _add_and_remove(hands, signal.SIGTERM, "worker ended")


def lose_worker(hands: Hands) -> None:
    """A worker is added, and killed for good."""
    _add_and_remove(hands, signal.SIGKILL, "worker lost")


def _add_and_remove(hands: Hands, number: signal.Signals, what: str) -> None:
    before = hands.pulse.last.positions
    child = hands.crew.start("process")
    hands.settle()
    hands.flows("worker added", time.time(), before)
    before = hands.pulse.last.positions
    began = time.time()
    hands.crew.remove(child, number)
    hands.flows(what, began, before)


def kill_redis(hands: Hands) -> None:
    """kill -9, and start again."""
    before = hands.pulse.last.positions
    hands.servers.redis.kill()
    hands.gap(0, 4)
    hands.servers.redis.start()
    hands.flows("Redis killed", time.time(), before)


def tear_redis(hands: Hands) -> None:
    """kill -9, and the end of the append-only file is lost."""
    before = hands.pulse.last.positions
    tail = _written_since_start(hands)
    hands.servers.redis.kill()
    torn = _tear(hands.servers.redis.home, hands.random.randint(1, max(1, min(tail, 400_000))))
    assert torn, "there was nothing to tear"
    hands.say(f"append-only file torn by {torn:,} of {tail:,} bytes")
    hands.servers.redis.start()
    hands.flows("Redis killed, file torn", time.time(), before)


def empty_redis(hands: Hands) -> None:
    """FLUSHALL: everything is counted again from the log's start."""
    before = hands.pulse.last.positions
    with _redis(hands) as client:
        client.flushall()
    hands.flows("Redis emptied", time.time(), before)


def pause_redis(hands: Hands) -> None:
    """Redis answers nobody for a while."""
    before = hands.pulse.last.positions
    pause_s = hands.random.uniform(1.5, 5)
    with _redis(hands) as client:
        client.client_pause(int(pause_s * 1000))
    end = time.time() + pause_s
    with _redis(hands, timeout_s=0.5) as client, pytest.raises(RedisError):
        client.ping()
    hands.until(end)
    hands.flows("Redis paused", end, before)


def kill_broker(hands: Hands) -> None:
    """kill -9, and start again; counted from when it answers."""
    before = hands.pulse.last.positions
    hands.servers.kafka.kill()
    hands.gap(0, 4)
    hands.servers.kafka.start()
    hands.flows("broker killed", time.time(), before)


def rebalance_without_redis(hands: Hands) -> None:
    """Redis is away while a worker dies and the partitions change hands."""
    before, victim = hands.pulse.last.positions, hands.victim()
    hands.servers.redis.kill()
    hands.gap(0.3, 1)
    hands.strike(victim, signal.SIGKILL)
    # the broker's time, not the machine's: after 6 s its partitions change hands
    hands.gap(6, 9)
    hands.servers.redis.start()
    hands.flows("Redis away in a rebalance", time.time(), before)


def rebalance_without_broker(hands: Hands) -> None:
    """The broker dies while a worker starts."""
    before, members = hands.pulse.last.positions, hands.group.stable_members()
    child = hands.crew.start("process")
    until(
        lambda: hands.group.stable_members() != members, within_s=SETTLE_BOUND_S, what="the group to see the new worker"
    )
    hands.gap(0, 1)
    hands.servers.kafka.kill()
    hands.servers.kafka.start()
    hands.flows("broker killed in a rebalance", time.time(), before)
    hands.settle()
    hands.crew.remove(child, signal.SIGTERM)


Fault = Callable[[Hands], None]

#: Each at least once in a run.
FAULTS: Final[tuple[Fault, ...]] = (
    kill_worker,
    freeze_worker,
    end_worker,
    lose_worker,
    kill_redis,
    tear_redis,
    empty_redis,
    pause_redis,
    kill_broker,
    rebalance_without_redis,
    rebalance_without_broker,
)


def _redis(hands: Hands, timeout_s: float = 10) -> Redis:
    address = hands.servers.redis.address()
    assert address is not None
    return Redis.from_url(address, socket_timeout=timeout_s, retry=Retry(NoBackoff(), 0))


def _written_since_start(hands: Hands) -> int:
    """Bytes that may be torn off; those before them may be a snapshot, which is no log."""
    with _redis(hands) as client:
        info = client.info("persistence")
    assert isinstance(info, dict)
    return int(info["aof_current_size"]) - int(info["aof_base_size"])


def _tear(home: Path, size: int) -> int:
    file = max(home.rglob("*.aof"), key=lambda file: (file.name.endswith("incr.aof"), file.name))
    whole = file.stat().st_size
    os.truncate(file, max(0, whole - size))
    return whole - file.stat().st_size
