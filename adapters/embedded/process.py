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
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
#: Place of the time since boot behind the name in `/proc/PID/stat`.
_START_TIME: Final = 19


class ProcessIdentity(msgspec.Struct, frozen=True, eq=False):
    """Process id, and what tells the process from another one under the same id.

    created: time of creation in seconds since 1970, which changes when the system's clock is set.
    started: boot and time since then, which nothing changes; empty where the system does not say.
    """

    pid: int
    created: float
    started: str = ""

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        """Identity of a process that exists now; raises `psutil.NoSuchProcess` otherwise."""
        return cls(pid, psutil.Process(pid).create_time(), _started(pid))

    @classmethod
    def own(cls) -> ProcessIdentity:
        """Identity of this process."""
        return cls.of(os.getpid())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ProcessIdentity) or self.pid != other.pid:
            return False
        if self.started and other.started:
            return self.started == other.started
        return abs(self.created - other.created) <= CLOCK_TOLERANCE_S

    def __ne__(self, other: object) -> bool:
        # the one that a struct inherits does not ask `__eq__`
        return not self.__eq__(other)

    def __hash__(self) -> int:
        return hash(self.pid)

    def process(self) -> psutil.Process | None:
        """The process itself, or None when it is gone, a zombie, or another one under a recycled pid."""
        try:
            process = psutil.Process(self.pid)
            if self != ProcessIdentity.of(self.pid):
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


def _started(pid: int) -> str:
    try:
        of_stat = Path(f"/proc/{pid}/stat").read_bytes()
        # the name before the bracket may hold anything
        return f"{_BOOT.read_text().strip()}/{of_stat.rpartition(b')')[2].split()[_START_TIME].decode()}"
    except (OSError, IndexError):
        return ""


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
                found.append(ProcessIdentity.of(process.pid))
        except (psutil.Error, OSError):
            # gone, or of another user; macOS names no working directory that was removed
            continue
    return found
