"""The identity of a process: a pid alone may have been recycled, a pid with its time of creation has not."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Final

import msgspec
import psutil

#: The time of creation is computed from the time of boot, which a correction of the clock can move a little.
CLOCK_TOLERANCE_S: Final = 1.0


class ProcessIdentity(msgspec.Struct, frozen=True):
    """Process id, and time of creation in seconds since 1970."""

    pid: int
    created: float

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        """Identity of a process that exists now; raises `psutil.NoSuchProcess` otherwise."""
        return cls(pid, psutil.Process(pid).create_time())

    @classmethod
    def own(cls) -> ProcessIdentity:
        """Identity of this process."""
        return cls.of(os.getpid())

    def process(self) -> psutil.Process | None:
        """The process itself, or None when it is gone, a zombie, or another one under a recycled pid."""
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.created) > CLOCK_TOLERANCE_S:
                return None
            # The first thread is a zombie as soon as it ends; ports and files are held until the last one does.
            if process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1:
                process.wait(0)
                return None
        except (psutil.NoSuchProcess, psutil.TimeoutExpired):
            return None
        return process

    def memory_bytes(self) -> int | None:
        """Resident memory, None if it does not run."""
        process = self.process()
        try:
            return process.memory_info().rss if process else None
        except psutil.NoSuchProcess:
            return None

    def alive(self) -> bool:
        """Whether exactly this process still runs."""
        return self.process() is not None

    def send(self, number: signal.Signals) -> None:
        """Send a signal; a process that is gone already is no error, nor is one of another user, which lives on."""
        process = self.process()
        if process is not None:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                process.send_signal(number)


def living_in(home: Path, program: str) -> list[ProcessIdentity]:
    """Processes that run `program` with `home` as their working directory: servers whose record was lost.

    Also when the directory was removed under them.
    """
    # Linux names a working directory without symbolic links, and says when it is gone.
    homes = {path + gone for path in (str(home), os.path.realpath(home)) for gone in ("", " (deleted)")}
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() in homes and Path(process.exe()).name.startswith(program):
                found.append(ProcessIdentity(process.pid, process.create_time()))
        except (psutil.Error, OSError):
            # gone, or of another user; macOS names no working directory that was removed
            continue
    return found
