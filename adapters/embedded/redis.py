"""The embedded Redis."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import ClassVar, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from adapters.embedded import append_only
from adapters.embedded.ports import HOST
from adapters.embedded.process import ProcessIdentity
from adapters.embedded.redis_binary import RedisBinary
from adapters.embedded.server import EmbeddedServer
from adapters.embedded.version import Version

#: First version that writes a folder of append-only files. Older ones do not see it and would start empty.
_FOLDER_SINCE: Final = Version(7, 0, 0)


class EmbeddedRedis(EmbeddedServer):
    """One `redis-server`: append-only file flushed every second, no snapshots, nothing evicted.

    That it may lose the last second in a crash of the machine is harmless: positions and cells change together,
    so it comes back *behind*, and the log is read again from there.
    """

    name: ClassVar[str] = "redis"
    label: ClassVar[str] = "Redis"
    program: ClassVar[str] = "redis"
    port_count: ClassVar[int] = 1

    @cached_property
    def _binary(self) -> RedisBinary:
        return RedisBinary.find()

    @property
    def version(self) -> Version:
        """Version of the program. Raises ConfigurationError if none runs."""
        return self._binary.version

    def address_at(self, port: int) -> str:
        """URL of database 0."""
        return f"redis://{HOST}:{port}/0"

    def writer(self) -> Version | None:
        """Version that last wrote the data; their layout says it when nothing else does."""
        marked = super().writer()
        return marked or (_FOLDER_SINCE if (self.home / append_only.FOLDER).exists() else None)

    def prepare(self, listen_on: tuple[int, ...]) -> list[str]:
        """Mend the append-only file. Raises UnavailableError if it is damaged beyond its end."""
        for folder in (self.home, self.home / append_only.FOLDER):
            for leftover in folder.glob("temp-*"):
                leftover.unlink()
        if append_only.mend(self.home, self._binary.path):
            self._progress("Redis: the append-only file was torn by a crash; its end was cut off")
        return command(self._binary.path, self.home, listen_on[0])

    def answers(self, port: int, process: ProcessIdentity, bound_s: float) -> bool:
        """Whether it answers PING, which it refuses while loading."""
        once = Retry(NoBackoff(), 0)
        client = redis.Redis(HOST, port, socket_timeout=bound_s, socket_connect_timeout=bound_s, retry=once)
        try:
            client.ping()
            # The pid tells this server from another one that took the port.
            return bool(client.info("server")["process_id"] == process.pid)
        except redis.RedisError:
            return False
        finally:
            client.close()


def command(binary: Path, home: Path, port: int) -> list[str]:
    """The command line of the server."""
    options = {
        "bind": HOST,
        "port": str(port),
        "dir": str(home),
        "daemonize": "no",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
    }
    return [str(binary), *(part for name, value in options.items() for part in (f"--{name}", value))]
