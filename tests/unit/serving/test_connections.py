"""Connections over real sockets: each has a bounded time and all together a bounded number, whatever clients do."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serving.connections import Limits, most_connections
from serving.server import serve
from tests.support.api_world import ApiWorld, filled
from tests.support.waiting import until

#: Few, and short: the rules are the same.
LIMITS = Limits(most=8, head_s=0.5, stall_s=1.0, refused_s=0.5)
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


class Served:
    """The API of a world, with few and short connections."""

    def __init__(self, world: ApiWorld) -> None:
        self.address = ("", 0)
        self.sockets: list[socket.socket] = []
        self._world = world
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        until(lambda: self.address[1], within_s=10, what="the address")

    def _run(self) -> None:
        closing = self._world.api.state.end_streams
        serve(self._world.api, "127.0.0.1", 0, stop=self._stop, bound=self._bound, closing=closing, limits=LIMITS)

    def _bound(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.address = host, int(port)

    def open(self, sends: bytes = b"", buffer: int = 0) -> socket.socket:
        made = socket.socket()
        made.settimeout(10)
        if buffer:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        made.connect(self.address)
        made.sendall(sends)
        self.sockets.append(made)
        return made

    def get(self, path: str = "/healthz") -> int:
        with httpx.Client(timeout=10) as client:
            return client.get(f"http://127.0.0.1:{self.address[1]}{path}").status_code

    def end(self) -> None:
        for each in self.sockets:
            each.close()
        self._stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with filled(tmp_path) as world:
        made = Served(world)
        yield made
        made.end()


def everything(connection: socket.socket) -> bytes:
    """What comes until the other side closes."""
    got = b""
    while piece := connection.recv(1 << 16):
        got += piece
    return got


@pytest.mark.parametrize("sends", [b"", b"G", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: "])
def test_who_says_nothing_or_half_a_head_is_told_and_let_go(served: Served, sends: bytes) -> None:
    assert everything(served.open(sends)).startswith(b"HTTP/1.1 408 Request Timeout\r\n")


@pytest.mark.parametrize("first", [b"", REQUEST], ids=["at once", "after an answer"])
def test_who_dribbles_a_head_is_let_go(served: Served, first: bytes) -> None:
    connection = served.open(first)
    if first:
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
    connection.sendall(b"GET / HTTP/1.1\r\nX: ")

    def gone() -> bool:
        try:
            connection.sendall(b"x")
        except OSError:
            return True
        return False

    until(gone, within_s=10, what="the end of who dribbles", every_s=0.02)


def test_who_never_sends_the_body_that_was_announced_is_let_go(served: Served) -> None:
    got = everything(served.open(REQUEST[:-2] + b"Content-Length: 1000\r\n\r\n"))
    assert got.startswith(b"HTTP/1.1 200")


def test_a_head_has_a_bounded_length(served: Served) -> None:
    fits = served.open(REQUEST[:-2] + b"Connection: close\r\nX: " + b"x" * 10_000 + b"\r\n\r\n")
    assert everything(fits).startswith(b"HTTP/1.1 200")
    assert everything(served.open(b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000)).startswith(b"HTTP/1.1 400")


def test_a_request_that_is_at_work_is_not_ended(served: Served) -> None:
    """A stream that is read goes on far beyond the time for a head."""
    with httpx.stream("GET", f"http://127.0.0.1:{served.address[1]}/v1/live", timeout=10) as response:
        frames = [line for line, _ in zip(response.iter_lines(), range(4 * 6), strict=False)]
    assert sum(line.startswith("id: ") for line in frames) == 6


def test_who_is_one_too_many_is_told_and_later_all_is_well(served: Served) -> None:
    held = [served.open(b"GET /v1/live HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(LIMITS.most)]
    for each in held:
        assert each.recv(100).startswith(b"HTTP/1.1 200")
    assert served.get() == 503
    silent = served.open()
    assert everything_or_reset(silent) == b""
    # far more than too many: not even told
    for _ in range(60):
        served.open()
    for each in held:
        each.close()
    until(lambda: _status(f"http://127.0.0.1:{served.address[1]}/healthz") == 200, within_s=10, what="room again")


def everything_or_reset(connection: socket.socket) -> bytes:
    try:
        return everything(connection)
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize("path", ["/dashboard/vendor/uplot-1.6.32.min.js", "/docs/files/swagger-ui-bundle.js"])
def test_who_takes_nothing_of_an_answer_is_let_go(served: Served, path: str) -> None:
    # again and again in one connection: more than the buffers of both sides hold
    stalled = served.open(buffer=2048)
    stalled.setblocking(False)

    def gone() -> bool:
        try:
            stalled.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        except BlockingIOError:
            return False
        except OSError:
            return True
        return False

    until(gone, within_s=30, what="the end of who stalls", every_s=0.01)


#: A role with few files: `ulimit -n` of the shell, then connections until there are no files.
_ROLE = """
import resource, sys, threading, os
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), int(sys.argv[2])))
from pathlib import Path
from modes import logs
from serving import server
from serving.connections import Limits, most_connections
from tests.support.api_world import ApiWorld
logs.configure("info", "console")
limits = Limits(most=10_000 if sys.argv[3] == "unlimited" else most_connections(), head_s=2.0)
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
with ApiWorld(Path(sys.argv[1]), batch=False) as world:
    server.serve(world.api, "127.0.0.1", 0, stop=stop, bound=lambda a: print(a, flush=True),
                 closing=world.api.state.end_streams, limits=limits)
"""


@pytest.mark.parametrize("which", ["limited", "unlimited"])
def test_without_files_it_says_one_line_and_recovers(tmp_path: Path, which: str) -> None:
    """`unlimited`: files are gone before connections are too many, as where something else holds them."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    log = tmp_path / "log"
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            [sys.executable, "-c", _ROLE, tmp_path, "128", which],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        ) as role,
    ):
        try:
            assert role.stdout is not None
            host, _, port = role.stdout.readline().strip().rpartition(":")
            held = [socket.create_connection((host, int(port)), timeout=10) for _ in range(200)]
            if which == "unlimited":
                until(lambda: b"no files" in log.read_bytes(), within_s=20, what="the line")
            began = time.monotonic()
            url = f"http://{host}:{port}/healthz"
            until(lambda: _status(url) == 200, within_s=30, what="an answer while idle connections are let go")
            assert time.monotonic() - began < 25
            for each in held:
                each.close()
            assert role.stdin is not None
            role.stdin.close()
            assert role.wait(10) == 0
        finally:
            role.kill()
    said = log.read_text()
    assert "Traceback" not in said
    assert said.count("no files") == (which == "unlimited")
    assert len(said.splitlines()) <= 3


def _status(url: str) -> int:
    try:
        return httpx.get(url, timeout=5).status_code
    except httpx.HTTPError:
        return 0


def test_there_is_room_for_the_other_files() -> None:
    assert most_connections() >= 16


def test_a_system_that_gives_fewer_files_than_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """As macOS: the hard limit is infinite, and what is above another one is refused."""
    asked = []

    def setrlimit(which: int, limits: tuple[int, int]) -> None:
        asked.append(limits[0])
        if limits[0] > 10_240:
            raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr("resource.getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr("resource.setrlimit", setrlimit)
    assert 10_000 < most_connections() < 10_240
    assert asked == [16_384, 10_240]


def test_a_system_that_gives_no_more_files_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def setrlimit(which: int, limits: tuple[int, int]) -> None:
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr("resource.getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr("resource.setrlimit", setrlimit)
    monkeypatch.setattr("os.listdir", lambda _: [str(number) for number in range(20)])
    assert most_connections() == 256 - 20 - 64
