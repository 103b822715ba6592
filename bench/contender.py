"""A contender: one or more processes that count the log into a view."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

import psutil

from bench.stage import Stage
from core.errors import FourfoldError
from modes.settings import Settings

_LAST_LINES: Final = 15


@dataclass(frozen=True, slots=True)
class Contender:
    """`module` and its arguments are run by Python, `processes` times in one group."""

    name: str
    title: str
    arguments: Sequence[str]
    processes: int = 1


SHIPPED: Final = Contender("shipped", "fourfold, one worker", ["modes", "process"])
STOCK: Final = Contender("stock", "stock Faust agent", ["bench.stock_faust"])
BARE: Final = Contender("bare", "bare aiokafka loop", ["bench.bare_loop"])
TWO: Final = Contender("two", "fourfold, two workers", ["modes", "process"], processes=2)
BY_NAME: Final = {contender.name: contender for contender in (SHIPPED, STOCK, BARE, TWO)}


class Run:
    """Running processes of one contender."""

    def __init__(self, contender: Contender, stage: Stage, settings: Settings) -> None:
        self._title = contender.title
        self._log = stage.directory / f"{settings.group}.log"
        environment = stage.environment(settings)
        with self._log.open("ab") as output:
            self.processes = [
                psutil.Popen(
                    [sys.executable, "-m", *contender.arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    # Faust leaves a folder where it runs
                    cwd=stage.directory,
                )
                for _ in range(contender.processes)
            ]

    def check(self) -> None:
        """Raises `FourfoldError` where a process has ended."""
        for process in self.processes:
            if (code := process.poll()) is not None:
                lines = self._log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
                raise FourfoldError(f"{self._title} ended with code {code}:\n" + "\n".join(lines))

    def finish(self, bound_s: float, every_s: float, tick: Callable[[], None]) -> None:
        """Waits until all have ended well, calling `tick` meanwhile.

        Raises `FourfoldError` where one ends badly, or not within `bound_s`.
        """
        end = time.monotonic() + bound_s
        while any(process.poll() is None for process in self.processes):
            if time.monotonic() > end:
                raise FourfoldError(f"{self._title} did not end within {bound_s:g} s")
            tick()
            time.sleep(every_s)
        if any(process.returncode for process in self.processes):
            self.check()

    def usage(self) -> tuple[float, int]:
        """CPU seconds since the start and resident bytes now, children included."""
        cpu, resident = 0.0, 0
        for process in self.processes:
            for each in (process, *process.children(recursive=True)):
                # a process that ends just now has no say in it any more
                with suppress(psutil.NoSuchProcess), each.oneshot():
                    times = each.cpu_times()
                    cpu += times.user + times.system
                    resident += each.memory_info().rss
        return cpu, resident

    def kill(self) -> None:
        """Ends all at once. What they have counted is in Redis, whole steps only."""
        for process in self.processes:
            # one that has ended by itself is no reason to leave the others
            with suppress(psutil.NoSuchProcess):
                process.kill()
        for process in self.processes:
            process.wait(10)


@contextmanager
def running(contender: Contender, stage: Stage, settings: Settings) -> Iterator[Run]:
    """The contender's processes, gone at the end."""
    run = Run(contender, stage, settings)
    try:
        yield run
    finally:
        run.kill()
