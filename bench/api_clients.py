"""The clients of the API, all in one process: paced requests, watchers of the counts, or open dashboards.

`python -m bench.api_clients requests|watch|pages HOST:PORT PID CLIENTS RATE SECONDS OUT_FILE`. PID is the
server's; RATE is each client's, requests a second. Sockets are read by hand: no client library may
be what is measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from asyncio import StreamReader
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Self

import msgspec
import psutil

from bench.child import settings_of_child
from core.errors import FourfoldError, InexactError

#: Kind of watcher to the stream that it opens, and the events of it that have totals.
_STREAMS: Final = {"watch": ("/v1/stream", b"counts"), "pages": ("/v1/live", b"board")}
#: Watchers are given so long to connect before the measurement.
_CONNECT_S: Final = 3.0
#: Bytes: longer than a frame of either stream.
_LINE: Final = 1 << 20
_HEAD_END: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Seen:
    """`cpu_share`: the server's cores meanwhile. `frames`: of counts, of all watchers together.

    `latencies_ms` are from when a request was due: one that had to wait for the one before counts in full.
    """

    seconds: float
    cpu_share: float
    frames: int = 0
    latencies_ms: Sequence[float] = ()

    @classmethod
    def read(cls, path: Path) -> Self:
        """What a process of clients wrote."""
        return cls(**json.loads(path.read_text()))


class Clients:
    """Ask or watch for some seconds."""

    def __init__(self, address: str, server: psutil.Process, clients: int, rate: float, seconds: float) -> None:
        self._host, port = address.rsplit(":", 1)
        self._port = int(port)
        self._server = server
        self._clients = clients
        self._rate = rate
        self._seconds = seconds
        self._frames = [0] * clients
        self._latencies_ms: list[float] = []

    async def requests(self) -> Seen:
        """All clients ask for the totals, evenly spread over time."""
        began, cpu_s = time.perf_counter(), self._cpu_s()
        await asyncio.gather(*(self._request(began, number) for number in range(self._clients)))
        elapsed = time.perf_counter() - began
        return Seen(elapsed, (self._cpu_s() - cpu_s) / elapsed, latencies_ms=self._latencies_ms)

    async def _request(self, began: float, number: int) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        request = f"GET /v1/totals HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode()
        events = 0
        for turn in range(int(self._rate * self._seconds)):
            due = began + (turn + number / self._clients) / self._rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            writer.write(request)
            document = await _body(reader)
            self._latencies_ms.append((time.perf_counter() - due) * 1000)
            events = grown(events, document)
        writer.close()

    async def watch(self, kind: str) -> Seen:
        """All clients watch one of the streams; what they saw once all were connected."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._watch(number, *_STREAMS[kind])) for number in range(self._clients)]
            await asyncio.sleep(_CONNECT_S)
            if not all(self._frames):
                raise FourfoldError(f"{self._frames.count(0)} of {self._clients} watchers got no counts")
            began, cpu_s, before = time.perf_counter(), self._cpu_s(), sum(self._frames)
            await asyncio.sleep(self._seconds)
            elapsed = time.perf_counter() - began
            seen = Seen(elapsed, (self._cpu_s() - cpu_s) / elapsed, sum(self._frames) - before)
            for task in tasks:
                task.cancel()
        return seen

    async def _watch(self, number: int, path: str, event: bytes) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=_LINE)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode())
        events, counts = 0, False
        try:
            while line := await reader.readline():
                if line.startswith(b"event: "):
                    counts = line == b"event: %b\n" % event
                elif counts and line.startswith(b"data: "):
                    events = grown(events, line[6:])
                    self._frames[number] += 1
        finally:
            writer.close()
        raise FourfoldError("the server ended a stream")

    def _cpu_s(self) -> float:
        times = self._server.cpu_times()
        return times.user + times.system


async def _body(reader: StreamReader) -> bytes:
    head = await reader.readuntil(_HEAD_END)
    if not head.startswith(b"HTTP/1.1 200"):
        raise FourfoldError(f"the API answered {head.splitlines()[0].decode()}")
    length = next(line for line in head.lower().splitlines() if line.startswith(b"content-length:"))
    return await reader.readexactly(int(length.split(b":")[1]))


def grown(before: int, document: bytes) -> int:
    """The events of a document of totals. Raises `InexactError` where they are fewer than before."""
    events = _events(document)
    if events < before:
        raise InexactError(f"the API said {before:,} events, and later {events:,}")
    return events


@lru_cache(maxsize=16)
def _events(document: bytes) -> int:
    """Clicks and sales. Most clients get the same document."""
    totals = msgspec.json.decode(document)["totals"]
    return int(totals["clicks"] + totals["sales"])


def main() -> None:
    """Writes what was seen, as JSON."""
    kind, address, pid, clients, rate, seconds, out = sys.argv[1:]
    settings_of_child()
    crowd = Clients(address, psutil.Process(int(pid)), int(clients), float(rate), float(seconds))
    seen = asyncio.run(crowd.requests() if kind == "requests" else crowd.watch(kind))
    Path(out).write_text(json.dumps(asdict(seen)))


if __name__ == "__main__":
    main()
