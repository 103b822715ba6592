"""The live stream: each change is written once, and shared by all who watch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Final

import msgspec

from core.declaration.pipeline import ALL
from core.errors import UnavailableError
from serving.answer import Answer
from serving.http.documents import Documents
from serving.http.event_stream import frame
from serving.http.fanout import Fanout
from serving.http.problem import away_document
from serving.http.sources import Sources

#: Changes are told so often at most.
EVERY_S: Final = 0.25
HEARTBEAT_S: Final = 5.0


class Broadcast:
    """`run` follows the ticker in one task of the event loop; any number of `watch` in the same loop."""

    def __init__(
        self, sources: Sources, documents: Documents, every_s: float = EVERY_S, heartbeat_s: float = HEARTBEAT_S
    ) -> None:
        """`every_s`: changes are told so often at most, at the tick that follows."""
        self._sources = sources
        self._documents = documents
        self._every_s = every_s
        self._heartbeat_s = heartbeat_s
        # at least a heartbeat comes in that time
        self._fanout = Fanout(2 * heartbeat_s)
        self._failure: BaseException | None = None
        self._beats = 0

    @property
    def watchers(self) -> int:
        """Open streams."""
        return self._fanout.watchers

    @property
    def beats(self) -> int:
        """How often it looked for news."""
        return self._beats

    def check(self) -> None:
        """Raises what ended `run`, if that was a bug."""
        if self._failure is not None:
            raise self._failure

    async def run(self) -> None:
        """Until the ticker stops; then all streams end."""
        try:
            await self._follow()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._failure = error
            raise
        finally:
            self._fanout.end()

    def watch(self) -> AsyncIterator[bytes]:
        """See `Fanout.watch`. Raises `UnavailableError` where a bug ended `run`."""
        if self._failure is not None:
            raise UnavailableError("the live stream ended by a bug: see the log; this process ends")
        return self._fanout.watch()

    async def _follow(self) -> None:
        ticker, clock = self._sources.ticker, asyncio.get_running_loop().time
        seen, told, told_at = 0, None, float("-inf")
        while not ticker.stopped:
            # a ticker that hangs has news too: its answer grows old
            with suppress(TimeoutError):
                async with asyncio.timeout(self._heartbeat_s):
                    seen = (await ticker.after(seen)).number
            self._beats += 1
            since_s = clock() - told_at
            if since_s < self._every_s:
                continue
            answer, problem = self._now()
            state = _telling(answer, problem, self._sources.ends.newest() is None)
            if state == told and since_s < self._heartbeat_s:
                continue
            if answer is None:
                self._tell("unavailable", away_document(problem))
            elif state == told:
                self._tell("heartbeat", self._sources.said(answer))
            else:
                self._tell("counts", self._documents.totals(answer, ALL, self._sources.said(answer)))
            told, told_at = state, clock()

    def _now(self) -> tuple[Answer | None, str]:
        try:
            return self._sources.ticker.answer(), ""
        except UnavailableError as error:
            return None, str(error)

    def _tell(self, event: str, document: dict[str, Any]) -> None:
        self._fanout.tell(frame(event, self._fanout.number + 1, msgspec.json.encode(document)))


def _telling(answer: Answer | None, problem: str, kafka_away: bool) -> tuple[Any, ...]:
    """What has to differ for a change to be told."""
    if answer is None:
        return (problem,)
    version = None if answer.batch is None else answer.batch.manifest.version
    return (answer.vector, answer.counters, answer.total, answer.floor, version, answer.states, kafka_away)
