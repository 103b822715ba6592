"""A Redis Cluster of a test's own: three primaries with a replica each, slots that move key by key, primaries that die."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from redis import Redis
from redis.exceptions import RedisError

from adapters.embedded.redis_binary import RedisBinary
from tests.support.waiting import until

SLOTS: Final = 16_384
PRIMARIES: Final = 3
NODE_TIMEOUT_MS: Final = 1_000
BOUND_S: Final = 30.0
_OPTIONS: Final = (
    *("--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--cluster-enabled", "yes"),
    *("--cluster-node-timeout", str(NODE_TIMEOUT_MS), "--cluster-require-full-coverage", "no"),
    # a replica takes over however old its data is, and is nobody else's
    *("--cluster-replica-validity-factor", "0", "--cluster-allow-replica-migration", "no"),
    *("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"),
)


@dataclass(eq=False)
class Node:
    """One server. `id`: its name in the cluster. `admin`: a client of it."""

    port: int
    bus: int
    home: Path
    admin: Any
    process: subprocess.Popen[bytes] | None = None
    id: str = ""

    @property
    def alive(self) -> bool:
        return self.process is not None

    def start(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        ports = ("--port", str(self.port), "--cluster-port", str(self.bus))
        with (self.home / "redis.log").open("ab") as output:
            self.process = subprocess.Popen(
                [RedisBinary.find().path, *ports, "--dir", str(self.home), *_OPTIONS], stdout=output, stderr=output
            )
        until(self._answers, within_s=BOUND_S, what=f"the node {self.port} to answer")
        self.id = self.said("MYID")

    def kill(self) -> None:
        """As kill -9 does. A server that is stopped dies as well."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def said(self, *words: object) -> Any:
        """What it answers to a CLUSTER command, as text where it is text."""
        # of two words: redis-py would understand the answer otherwise
        answer = self.admin.execute_command("CLUSTER", *words)
        return answer.decode() if isinstance(answer, bytes) else answer

    def has(self, *lines: str) -> bool:
        """Whether its CLUSTER INFO has these lines."""
        return set(lines) <= set(self.said("INFO").split("\r\n"))

    @property
    def known(self) -> list[list[str]]:
        """CLUSTER NODES by word: id, address, flags, whose replica, ..., slots from the ninth on."""
        return [line.split() for line in self.said("NODES").splitlines()]

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Does nothing meanwhile, as if its machine had no time for it."""
        assert self.process is not None
        pid = self.process.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            return bool(self.admin.ping())
        except RedisError:
            return False


@dataclass
class Move:
    """A slot on its way, of which keys are sent one by one."""

    slot: int
    source: Node
    target: Node
    others: Sequence[Node]
    sent: list[str] = field(default_factory=list)

    def begin(self) -> Self:
        self.target.said("SETSLOT", self.slot, "IMPORTING", self.source.id)
        self.source.said("SETSLOT", self.slot, "MIGRATING", self.target.id)
        return self

    def left(self) -> list[str]:
        """Keys that are with the source still."""
        return [key.decode() for key in self.source.said("GETKEYSINSLOT", self.slot, 1_000)]

    def send(self, key: str, *options: str) -> None:
        """One key. `options`: of MIGRATE. Raises `ResponseError`, BUSYKEY for example."""
        command = ("MIGRATE", "127.0.0.1", self.target.port, "", 0, 5_000, *options, "KEYS", key)
        self.source.admin.execute_command(*command)
        self.sent.append(key)

    def end(self) -> None:
        """The target owns the slot, and every primary knows it."""
        assert not self.left()
        for node in (self.target, self.source, *self.others):
            node.said("SETSLOT", self.slot, "NODE", self.target.id)


class RedisCluster:
    """Six servers without persistence. A context manager; up in some four seconds."""

    def __init__(self, home: Path) -> None:
        ports = _free_ports(4 * PRIMARIES)
        self.nodes = [
            Node(port, bus, home / str(port), Redis(port=port, socket_timeout=10.0))
            for port, bus in zip(ports[::2], ports[1::2], strict=True)
        ]
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        for node in self.nodes:
            self._stack.callback(_ended, node)
        try:
            self._join()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def addresses(self) -> list[int]:
        """Ports of the nodes that live."""
        return [node.port for node in self.nodes if node.alive]

    def primaries(self) -> list[Node]:
        """Those that live and own slots, as one of them knows it."""
        return [self._by_id(words[0]) for words in self._known() if "master" in words[2] and len(words) > 8]

    def replica_of(self, primary: Node) -> Node:
        """One that lives."""
        (found, *_) = [self._by_id(w[0]) for w in self._known() if w[3] == primary.id and "fail" not in w[2]]
        return found

    def owner(self, slot: int) -> Node:
        """The primary that has a slot, by its own word."""
        for node in self.primaries():
            (mine,) = [words for words in node.known if words[0] == node.id]
            if any(_within(slot, part) for part in mine[8:]):
                return node
        raise AssertionError(f"nobody owns slot {slot}")

    def moving(self, slot: int, target: Node) -> Move:
        """A slot that begins to move."""
        source = self.owner(slot)
        others = [node for node in self.primaries() if node not in (source, target)]
        return Move(slot, source, target, others).begin()

    def move(self, slot: int, target: Node, between: Callable[[], object] = lambda: None) -> int:
        """Moves a slot to another primary; how many keys went. `between`: called before each key and after the last."""
        move = self.moving(slot, target)
        between()
        # keys may appear until it has moved
        while left := move.left():
            move.send(left[0])
            between()
        move.end()
        return len(move.sent)

    def fail_over(self, primary: Node, late: Callable[[], object] | None = None) -> Node:
        """Kills a primary, and returns the replica that took over, when all that live know of it.

        `late`: called before; what is written while it runs is not replicated, and lost.
        """
        replica = self.replica_of(primary)
        if late is None:
            primary.kill()
        else:
            with replica.stopped():
                primary.admin.execute_command("CLIENT", "KILL", "TYPE", "replica")
                late()
                primary.kill()
        alive = [node for node in self.nodes if node.alive]
        until(
            lambda: all(self._took_over(node, replica, primary) for node in alive),
            within_s=BOUND_S,
            what=f"the replica {replica.port} to take over from {primary.port}",
        )
        return replica

    def revive(self, node: Node) -> None:
        """Starts a node that was killed: empty, and by what it knew a primary, until it hears of who took over."""
        node.start()
        until(lambda: _follows(node), within_s=BOUND_S, what=f"the node {node.port} to follow who took over")
        alive = [other for other in self.nodes if other.alive]
        until(
            lambda: all("fail" not in words[2] for other in alive for words in other.known if words[0] == node.id),
            within_s=BOUND_S,
            what=f"all to see the node {node.port}",
        )

    def _join(self) -> None:
        for node in self.nodes:
            node.start()
        head, *others = self.nodes
        for number, node in enumerate(self.nodes):
            # epochs that differ from the beginning need no elections
            node.said("SET-CONFIG-EPOCH", number + 1)
        for number, node in enumerate(self.nodes[:PRIMARIES]):
            first, last = SLOTS * number // PRIMARIES, SLOTS * (number + 1) // PRIMARIES - 1
            node.said("ADDSLOTSRANGE", first, last)
        for node in others:
            head.said("MEET", "127.0.0.1", node.port, node.bus)
        until(self._met, within_s=BOUND_S, what="the nodes to meet")
        pairs = list(zip(self.nodes[:PRIMARIES], self.nodes[PRIMARIES:], strict=True))
        for primary, replica in pairs:
            replica.said("REPLICATE", primary.id)
        until(lambda: all(_follows(replica) for _, replica in pairs), within_s=BOUND_S, what="replicas to follow")
        until(
            lambda: all(
                [w[3] for w in node.known if w[0] == replica.id] == [primary.id]
                for node in self.nodes
                for primary, replica in pairs
            ),
            within_s=BOUND_S,
            what="all to know the replicas",
        )

    def _met(self) -> bool:
        whole = (f"cluster_known_nodes:{len(self.nodes)}", "cluster_state:ok", f"cluster_slots_ok:{SLOTS}")
        return all(node.has(*whole) and not any("handshake" in words[2] for words in node.known) for node in self.nodes)

    def _took_over(self, node: Node, replica: Node, primary: Node) -> bool:
        by_id = {words[0]: words for words in node.known}
        mine, its = by_id[replica.id], by_id[primary.id]
        # one that imports slots believes in the owner of before until it is told otherwise
        imports = any(part.startswith("[") for part in by_id[node.id][8:])
        heard = len(mine) > 8 and (imports or len(its) == 8)
        return "master" in mine[2] and heard and node.has("cluster_state:ok")

    def _known(self) -> list[list[str]]:
        alive = {node.id for node in self.nodes if node.alive}
        (asked, *_) = [node for node in self.nodes if node.alive]
        return [words for words in asked.known if words[0] in alive]

    def _by_id(self, name: str) -> Node:
        (found,) = [node for node in self.nodes if node.id == name]
        return found


def _follows(node: Node) -> bool:
    info = node.admin.info("replication")
    return bool(info["role"] == "slave" and info["master_link_status"] == "up")


def _within(slot: int, part: str) -> bool:
    """Whether a part of a line of CLUSTER NODES is a range with the slot; slots that move are in brackets besides."""
    if part.startswith("["):
        return False
    first, _, last = part.partition("-")
    return int(first) <= slot <= int(last or first)


def _ended(node: Node) -> None:
    if node.alive:
        node.kill()
    node.admin.close()
    shutil.rmtree(node.home, ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    """Ports that nothing listens on now, and no two alike."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
