"""A name with several addresses, the first of which is dead."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from adapters.addresses import try_all_addresses

WITHIN_S = 5.0


@pytest.fixture
def dead_first(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A port: the first address of each name is silent there, and at the second one somebody listens."""
    with ExitStack() as stack:
        dead, good = (stack.enter_context(socket.socket()) for _ in range(2))
        good.bind(("127.0.0.1", 0))
        good.listen()
        port: int = good.getsockname()[1]
        dead.bind(("127.0.0.2", port))
        dead.listen(0)
        # nobody takes these: the queue is full, and whoever comes next gets no answer
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.2", port))
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))
            for host in ("127.0.0.2", "127.0.0.1")
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        yield port


def test_the_second_address_is_tried_while_the_first_is_silent(dead_first: int) -> None:
    async def reach() -> str:
        try_all_addresses()
        async with asyncio.timeout(WITHIN_S):
            _, writer = await asyncio.open_connection("kafka.example", dead_first)
        host: str = writer.get_extra_info("peername")[0]
        writer.close()
        return host

    assert asyncio.run(reach()) == "127.0.0.1"
