"""The embedded servers of one data directory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from adapters.embedded.directory import LOCK_BOUND_TO_STOP_S, DataDirectory
from adapters.embedded.kafka import EmbeddedKafka
from adapters.embedded.redis import EmbeddedRedis
from adapters.embedded.server import STOP_BOUND_S, EmbeddedServer, Progress, ServerStatus
from adapters.embedded.training import train
from core.errors import UnavailableError

DEFAULT_DIRECTORY: Final = Path(".fourfold")
DEFAULT_CACHE: Final = Path("~/.cache/fourfold")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where clients connect. kafka: `host:port`. redis: `redis://host:port/0`. Empty: not running."""

    kafka: str
    redis: str


def _silent(message: str) -> None:
    """Report progress to nobody."""


class EmbeddedServers:
    """Kafka and Redis with their data in one directory; usable from any number of processes at once.

    As a context manager it starts them owned by this process, and at the end stops those that it started.
    """

    def __init__(
        self,
        directory: Path = DEFAULT_DIRECTORY,
        *,
        kafka_port: int | None = None,
        redis_port: int | None = None,
        with_kafka: bool = True,
        with_redis: bool = True,
        cache: Path | None = None,
        progress: Progress = _silent,
    ) -> None:
        """Nothing is touched yet.

        kafka_port, redis_port: None means free ones, kept from start to start.
        with_kafka, with_redis: False leaves that server out, where another one is used instead.
        cache: directory shared by all data directories of a user, by default `DEFAULT_CACHE`; of a user without a home,
        in this one. progress: gets one line for each thing that happens.
        """
        self._directory = DataDirectory(directory)
        self._progress = progress
        self._cache = cache or _cache_of_user() or self._directory.root / "cache"
        self.kafka = EmbeddedKafka(self._directory, kafka_port, progress, cache=self._cache)
        self.redis = EmbeddedRedis(self._directory, redis_port, progress)
        self._used: dict[EmbeddedServer, bool] = {self.kafka: with_kafka, self.redis: with_redis}
        self._started: list[EmbeddedServer] = []

    def leave_out(self, kafka: str, redis: str) -> None:
        """Leave out the server whose place another one takes, by the addresses that are set; empty for none.

        An address that is the embedded server's own, as `start` gave it, leaves nothing out.
        """
        for server, address in ((self.kafka, kafka), (self.redis, redis)):
            self._used[server] = not address or server.serves(address)

    def prepare(self) -> None:
        """Do once per machine what makes starts quick: download the jars, make Kafka's start-up cache.

        It takes about 20 s, and each start then 1.5 s instead of 3.5 s. Not needed for a start, so a cache that cannot
        be written is said, and nothing more.
        Raises UnavailableError and ConfigurationError as `start`.
        """
        train(self._cache, self._directory.root / "maven", self._progress)

    def start(self, *, detached: bool = False) -> Addresses:
        """Start what does not run yet, wait until all answer. Servers that run already are used as they are.

        detached: they go on when this process ends; otherwise they end with it.
        Two starts at the same time are safe: the second one waits for the first and uses its servers.
        Raises UnavailableError (port taken, disk full, no download, died at start; what this call started is
        stopped again) and ConfigurationError (directory not writable, data of a newer version, no program).
        """
        self._directory.make_ready()
        started: list[EmbeddedServer] = []
        with self._directory.locked():
            try:
                for server in self._servers:
                    if server.launch(detached=detached):
                        # One by one, so that an error at the second leaves the first on the list.
                        started.append(server)  # noqa: PERF401
                for server in reversed(self._servers):
                    server.await_ready()
            except BaseException:
                _stop(started, STOP_BOUND_S)
                raise
        if not detached:
            self._started.extend(started)
        return Addresses(self.kafka.address() or "", self.redis.address() or "")

    def running(self) -> Addresses | None:
        """The addresses if all processes run (healthy or not), else None. Quick: it asks no server."""
        if not all(server.address() for server in self._servers):
            return None
        return Addresses(self.kafka.address() or "", self.redis.address() or "")

    def status(self) -> list[ServerStatus]:
        """Each server as it is now, asked whether it answers."""
        return [server.status() for server in self._servers]

    def stop(self, timeout: float = STOP_BOUND_S) -> list[str]:
        """Stop both, whoever started them, within about `timeout` seconds. Data stay. No error if none runs.

        Returns the labels of those that ran. Raises UnavailableError if one runs on, or if another start or stop goes on
        for more than 30 s.
        """
        if not self._directory.root.exists():
            # Whoever removed the directory has not ended the servers with it.
            return self._stop_all(timeout)
        with self._directory.locked(LOCK_BOUND_TO_STOP_S):
            return self._stop_all(timeout)

    def close(self) -> None:
        """Stop what this object started as owned, and nothing else."""
        started, self._started = self._started, []
        if started:
            if not self._directory.root.exists():
                _stop(started, STOP_BOUND_S, by_owner=True)
                return
            with self._directory.locked(LOCK_BOUND_TO_STOP_S):
                _stop(started, STOP_BOUND_S, by_owner=True)

    def __enter__(self) -> Self:
        """Start, owned."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop what was started."""
        self.close()

    @property
    def used(self) -> list[EmbeddedServer]:
        """Those that are not left out."""
        return list(self._servers)

    @property
    def directory(self) -> DataDirectory:
        """Where they keep their data."""
        return self._directory

    def take(self, server: EmbeddedServer) -> None:
        """From now on `close` stops this one, too: its owner is gone, and this object has started it again."""
        if server not in self._started:
            self._started.append(server)

    def _stop_all(self, bound_s: float) -> list[str]:
        ran = [server for server in self._servers if server.living()]
        _stop(self._servers, bound_s)
        for server in ran:
            left = server.living()
            if left:
                raise UnavailableError(
                    f"{server.label} (process {left[0].pid}) cannot be ended: end it with the rights of the user who "
                    "started it"
                )
        return [server.label for server in ran]

    @property
    def _servers(self) -> list[EmbeddedServer]:
        return [server for server, used in self._used.items() if used]


def _cache_of_user() -> Path | None:
    """None for a user without a home."""
    try:
        return DEFAULT_CACHE.expanduser()
    except RuntimeError:
        return None


def _stop(servers: Sequence[EmbeddedServer], bound_s: float, *, by_owner: bool = False) -> None:
    end = time.monotonic() + bound_s
    for server in servers:
        server.begin_stop()
    for server in servers:
        server.finish_stop(end - time.monotonic(), by_owner=by_owner)
