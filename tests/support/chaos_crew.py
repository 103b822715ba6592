"""Role processes under the product's own supervisor, and hands to kill them."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from modes.launcher import Launch, Process
from modes.settings import Settings, environment
from modes.supervisor import Child, Supervisor
from tests.support.product import launcher

TICK_S: Final = 0.1
#: A process that does not end on SIGTERM within this time hangs.
STOP_BOUND_S: Final = 15.0


@dataclass(frozen=True)
class OtherModule:
    """Starts another module in place of the product's; its command line ends like the product's."""

    command: Sequence[str]

    def start(self, launch: Launch) -> Process:
        """See `Launcher`."""
        return launcher().start(launch._replace(command=[*self.command, *launch.command[1:]]))


class Crew:
    """Processes of one view, kept running by a supervisor that ticks in a thread of its own.

    `notes`: what went wrong without our doing.
    """

    def __init__(self, settings: Settings, logs: Path, command: Sequence[str] = ()) -> None:
        """`command`: a module and its first arguments, run in place of the product's module."""
        starts = OtherModule(command) if command else launcher()
        self._supervisor = Supervisor(environment(settings), launcher=starts)
        self._logs = logs
        self._count = 0
        self._killed: set[int] = set()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        # children die with the thread that started them: it lives as long as they may
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self.notes: list[str] = []

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        for child in self.running:
            # what is frozen does not hear a SIGTERM
            self.send(child, signal.SIGCONT)
        with self._lock:
            self._supervisor.stop(STOP_BOUND_S)
        self._thread.join()

    @property
    def running(self) -> list[Child]:
        """The children whose process runs."""
        with self._lock:
            return [child for child in self._supervisor.children if child.state == "running"]

    def start(self, role: str, *, ends: bool = False) -> Child:
        """Starts a process of a role; `ends`: an exit with code 0 is its natural end."""
        with self._lock:
            self._count += 1
            name = f"{role}-{self._count}"
            return self._supervisor.start(name, [role], self._logs / f"{name}.log", ends=ends)

    def send(self, child: Child, number: signal.Signals) -> bool:
        """A signal to a child. SIGKILL returns when it is gone; the supervisor starts it again.

        Whether there was a process to get it.
        """
        with self._lock:
            process = child.process
            if process is None or process.poll() is not None:
                return False
            process.send_signal(number)
            if number is signal.SIGKILL:
                self._killed.add(process.pid)
                process.wait()
            return True

    def remove(self, child: Child, number: signal.Signals) -> None:
        """Ends a child for good; returns when it is gone."""
        with self._lock:
            self._supervisor.children.remove(child)
        process = child.process
        assert process is not None
        process.send_signal(number)
        try:
            process.wait(STOP_BOUND_S)
        except subprocess.TimeoutExpired:
            self.notes.append(f"{child.name} did not end within {STOP_BOUND_S:g} s of {number.name}")
            process.kill()
            process.wait()

    def _watch(self) -> None:
        while not self._ended.wait(TICK_S):
            with self._lock:
                self._supervisor.tick()
                for child in self._supervisor.children:
                    self._note(child)

    def _note(self, child: Child) -> None:
        process = child.process
        if process is None or child.state not in ("waiting", "failed") or process.pid in self._killed:
            return
        self._killed.add(process.pid)
        self.notes.append(f"{child.name} ended by itself, code {child.last_code}: {child.last_words()}")
