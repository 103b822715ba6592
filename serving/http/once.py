"""Work on an answer that is done once, however many ask for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

from starlette.concurrency import run_in_threadpool

from serving.answer import Answer

Result = TypeVar("Result")

#: So many results are kept of one answer.
_KEPT: Final = 256


class Once:
    """Keeps results for as long as the answer is the newest one. For one event loop."""

    def __init__(self) -> None:
        self._answer: Answer | None = None
        self._results: dict[Hashable, asyncio.Task[Any]] = {}

    async def of(self, answer: Answer, work: Callable[..., Result], *arguments: Hashable) -> Result:
        """`work(answer, *arguments)`, done in a worker thread."""
        if answer is not self._answer or len(self._results) >= _KEPT:
            self._answer, self._results = answer, {}
        task = self._results.get((work, arguments))
        if task is None:
            task = asyncio.get_running_loop().create_task(run_in_threadpool(work, answer, *arguments))
            self._results[work, arguments] = task
        # one who gives up must not take the result from the others
        result: Result = await asyncio.shield(task)
        return result
