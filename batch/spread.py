"""Work on partitions, buckets or days, spread over processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from typing import Final, Protocol, TypeVar

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
    return pool.map
