"""Work on partitions, buckets or days, spread over processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from typing import Final, Protocol, TypeVar

from core.errors import UnavailableError

#: Starting a process takes as long as folding so many rows.
_ROWS_A_PROCESS: Final = 100_000

Task = TypeVar("Task")
Result = TypeVar("Result")


class Map(Protocol):
    """`map`, in this process or spread over others."""

    def __call__(self, function: Callable[[Task], Result], tasks: Iterable[Task], /) -> Iterable[Result]:
        """The results in the order of the tasks."""


def spread_over(processes: int, rows: int, stack: ExitStack) -> Map:
    """A map for work on so many rows; its processes, where it is worth any, end with `stack`."""
    processes = min(processes, 1 + rows // _ROWS_A_PROCESS)
    if processes == 1:
        return map
    # spawned: forking a process with threads of Arrow in it may hang
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"))
    stack.callback(pool.shutdown, cancel_futures=True)

    def spread(function: Callable[[Task], Result], tasks: Iterable[Task], /) -> Iterable[Result]:
        return _all(pool.map(function, tasks))

    return spread


def _all(results: Iterator[Result]) -> Iterator[Result]:
    try:
        yield from results
    except BrokenProcessPool as error:
        raise UnavailableError(
            "a process of the recompute was killed: was there too little memory? FOURFOLD_BATCH_PROCESSES=1 takes less"
        ) from error
