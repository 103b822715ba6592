"""The step that is on its way: the store takes it while the next poll is folded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from processors.batches import Fetched
from processors.processor import Processor

#: How long, in seconds, `close` waits for the last step.
BOUND_S: Final = 1.0
#: Turns of the event loop after which a step has left for the store: more than its client takes for that.
_TURNS: Final = 8


class Flight:
    """Counts polls one after the other, each folded while the step of the one before is on its way.

    At most one step is: one that the store refuses makes all that was folded after it worthless.
    """

    def __init__(self, processor: Processor, fail: Callable[[BaseException], None]) -> None:
        """`fail` gets what ends a step for good."""
        self._processor = processor
        self._fail = fail
        self._step: asyncio.Future[None] | None = None
        self._failed = False

    async def take(self, fetched: Fetched) -> None:
        """Folds a poll; returns when its step is on its way. Raises nothing."""
        folded = None if self._failed else self._processor.fold(fetched)
        if folded is None:
            return
        await self.land()
        if self._failed:
            return
        self._step = asyncio.ensure_future(self._processor.send(folded))
        self._step.add_done_callback(self._ended)
        for _ in range(_TURNS):
            if self._step.done():
                break
            await asyncio.sleep(0)

    async def land(self) -> None:
        """Returns when no step is on its way, and what became of it is known."""
        if self._step is not None:
            await asyncio.wait({self._step})
            # what is called when it is done is called in the next turn
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Waits for the step that is on its way, for a short time."""
        if self._step is not None and not self._step.done():
            await asyncio.wait({self._step}, timeout=BOUND_S)
            self._step.cancel()

    def _ended(self, step: asyncio.Future[None]) -> None:
        if not step.cancelled() and (error := step.exception()) is not None:
            self._failed = True
            self._fail(error)
