"""Redis servers of a test's own, light ones, and an address that can be moved from one to another."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from redis import Redis
from redis.exceptions import AuthenticationError, RedisError

from adapters.embedded.redis_binary import RedisBinary
from tests.support.servers import free_port
from tests.support.waiting import until

BOUND_S = 20.0


@contextmanager
def own_redis(home: Path, *options: str) -> Iterator[int]:
    """A Redis with these options; its port."""
    home.mkdir(parents=True, exist_ok=True)
    port = free_port()
    common = ["--bind", "127.0.0.1", "--dir", str(home), "--save", "", "--port", str(port)]
    with (home / "redis.log").open("wb") as output:
        server = subprocess.Popen([RedisBinary.find().path, *common, *options], stdout=output, stderr=output)
    try:
        until(lambda: _answers(port), within_s=BOUND_S, what="Redis to answer")
        yield port
    finally:
        server.terminate()
        server.wait()


def _answers(port: int) -> bool:
    try:
        with Redis(port=port) as client:
            client.ping()
    except AuthenticationError:
        return True
    except RedisError:
        return False
    return True


class MovingAddress:
    """A port that leads to another one. Connections that are open stay where they are. A context manager."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._server, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._thread.join(BOUND_S)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                near.close()
                continue
            self._open += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_pipe, args=(source, sink), daemon=True).start()


def _pipe(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
