"""The server: its address, its errors, and its end with open streams."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from core.errors import ConfigurationError
from serving.server import serve
from tests.support.api_world import ApiWorld, filled
from tests.support.busy import allowed
from tests.support.waiting import until

#: A role as `modes` makes one: signals set `stop`, and the end is counted from the signal on.
_ROLE = """
import signal, sys, threading
from pathlib import Path
from serving.server import serve
from tests.support.api_world import filled
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
with filled(Path(sys.argv[1])) as world:
    serve(world.api, "127.0.0.1", 0, stop=stop, bound=lambda a: print(a, flush=True), closing=world.ticker.stop)
print("ended", flush=True)
"""


class Served:
    """The API of a world in a thread."""

    def __init__(self, world: ApiWorld) -> None:
        self.world = world
        self.address = ""
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        until(lambda: self.address, within_s=10, what="the address")

    def _run(self) -> None:
        serve(
            self.world.api, "127.0.0.1", 0, stop=self.stop, bound=self._bound, closing=self.world.api.state.end_streams
        )

    def _bound(self, address: str) -> None:
        self.address = address

    def end(self) -> float:
        """Seconds that it took to stop."""
        began = time.monotonic()
        self.stop.set()
        self.thread.join(10)
        assert not self.thread.is_alive()
        return time.monotonic() - began


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with filled(tmp_path) as world:
        made = Served(world)
        yield made
        made.end()


def test_the_bound_address_answers_and_is_quiet(served: Served, capfd: pytest.CaptureFixture[str]) -> None:
    host, _, port = served.address.rpartition(":")
    assert (host, int(port) > 0) == ("127.0.0.1", True)
    response = httpx.get(f"http://{served.address}/v1/totals", timeout=10)
    assert response.json()["totals"]["clicks"] == 10
    assert "server" not in response.headers
    assert capfd.readouterr() == ("", "")


def test_a_stream_over_the_wire(served: Served) -> None:
    with httpx.stream("GET", f"http://{served.address}/v1/stream", timeout=10) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.iter_lines()
        assert [next(lines), next(lines)] == ["event: counts", "id: 1"]
    watchers = "fourfold_api_watchers 0.0"
    until(
        lambda: watchers in httpx.get(f"http://{served.address}/metrics", timeout=10).text,
        within_s=10,
        what="the end of the watcher",
    )


def test_readers_that_stall_or_vanish_harm_nobody(served: Served) -> None:
    host, _, port = served.address.rpartition(":")

    def opened() -> socket.socket:
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        made.connect((host, int(port)))
        made.sendall(b"GET /v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return made

    # these never read
    stalled = [opened() for _ in range(20)]
    for vanished in [opened() for _ in range(20)]:
        vanished.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        vanished.close()
    with httpx.stream("GET", f"http://{served.address}/v1/live", timeout=10) as response:
        frames = (line for line in response.iter_lines() if line.startswith("id: "))
        numbers = [int(next(frames).removeprefix("id: ")) for _ in range(4)]
    # none is skipped by who reads
    assert numbers == list(range(numbers[0], numbers[0] + 4))
    assert httpx.get(f"http://{served.address}/v1/totals", timeout=10).status_code == 200
    for each in stalled:
        each.close()


def test_a_taken_port_is_one_line_that_says_what_to_set(tmp_path: Path) -> None:
    with ApiWorld(tmp_path) as world, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"127\.0\.0\.1:{port} .*in use.*FOURFOLD_API_PORT") as caught:
            serve(world.api, "127.0.0.1", port, stop=threading.Event(), bound=print, closing=world.ticker.stop)
        assert "\n" not in str(caught.value)


def test_a_host_that_is_none_is_said(tmp_path: Path) -> None:
    with ApiWorld(tmp_path) as world, pytest.raises(ConfigurationError, match="FOURFOLD_API_HOST"):
        serve(world.api, "203.0.113.7", 0, stop=threading.Event(), bound=print, closing=world.ticker.stop)


def test_sigterm_ends_it_within_a_second_with_open_streams(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-c", _ROLE, tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as role:
        try:
            assert role.stdout is not None
            address = role.stdout.readline().strip()
            with (
                httpx.stream("GET", f"http://{address}/v1/stream", timeout=10) as first,
                httpx.stream("GET", f"http://{address}/v1/stream", timeout=10) as second,
            ):
                # a dropped iterator would close its stream
                lines = [stream.iter_lines() for stream in (first, second)]
                assert [next(of) for of in lines] == ["event: counts"] * 2
                began = time.monotonic()
                role.send_signal(signal.SIGTERM)
                assert role.stdout.readline() == "ended\n"
                assert time.monotonic() - began < allowed(1)
            assert role.wait(10) == 0
        finally:
            role.kill()
