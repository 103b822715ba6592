"""The route `/v1/live`: the board, made in a thread and shared by all who look."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import msgspec
from fastapi import FastAPI

from core.errors import UnavailableError
from serving.board import Board
from serving.http.event_stream import EventStream, documented_stream, frame
from serving.http.fanout import Fanout
from serving.http.problem import documented
from serving.repeating import Repeating

EVERY_S: Final = 0.5
#: A board that is older is not shown to a page that comes now.
STANDS_S: Final = 2.0
_JOIN_S: Final = 2.0


class LiveRoutes:
    """One board for all pages: what it costs does not grow with them, nor its size with the keys."""

    def __init__(self, board: Board, every_s: float = EVERY_S) -> None:
        self._board = board
        self._fanout = Fanout(STANDS_S)
        self._repeating = Repeating(self._make, every_s, "board")
        self._loop: asyncio.AbstractEventLoop | None = None

    def add_to(self, api: FastAPI) -> None:
        """Adds the route."""
        api.add_api_route(
            "/v1/live",
            self.live,
            status_code=200,
            response_class=EventStream,
            responses={
                200: documented_stream("board"),
                **documented(away="The board cannot be made any more; `detail` says why."),
            },
            summary="The dashboard's live document",
            tags=["Counts"],
        )

    @property
    def watchers(self) -> int:
        """Open streams."""
        return self._fanout.watchers

    def check(self) -> None:
        """Raises what ended the thread, if that was a bug."""
        self._repeating.check()

    @property
    def beats(self) -> int:
        """How many boards there were."""
        return self._repeating.beats

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """While the API serves."""
        self._loop = asyncio.get_running_loop()
        self._repeating.start()
        try:
            yield
        finally:
            self._repeating.stop()
            self._fanout.end()
            await asyncio.to_thread(self._repeating.join, _JOIN_S)

    def end(self) -> None:
        """Ends all streams; from any thread."""
        self._repeating.stop()
        self._call(self._fanout.end)

    async def live(self) -> EventStream:
        """Server-sent events `board`, twice a second, for as long as the connection lasts.

        Each is the whole picture: the mode, its parts and how they are, counts, the largest values, the last hour by
        minutes, versions. It is made once for all who look; a watcher that is slow misses some.
        """
        try:
            self.check()
        except BaseException as error:
            raise UnavailableError("the board ended by a bug: see the log; this process ends") from error
        return EventStream(self._fanout.watch())

    def _make(self) -> None:
        # also while nobody looks: the first page finds rates that are right
        try:
            document = msgspec.json.encode(self._board.document(self._fanout.watchers))
        except BaseException:
            self._call(self._fanout.end)
            raise
        self._call(lambda: self._fanout.tell(frame("board", self._fanout.number + 1, document)))

    def _call(self, work: object) -> None:
        # a loop that was closed has nobody who watches
        with suppress(RuntimeError):
            if self._loop is not None and callable(work):
                self._loop.call_soon_threadsafe(work)
