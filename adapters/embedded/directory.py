"""The data directory: where everything lies, whether it can be used, and who may change it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from adapters.embedded.state import StateFile
from adapters.embedded.waiting import wait_until
from core.errors import ConfigurationError, UnavailableError

MINIMUM_FREE_BYTES: Final = 200 * 1024 * 1024
#: A first start with a slow download holds the lock for long.
LOCK_BOUND_S: Final = 600.0
LOCK_BOUND_TO_STOP_S: Final = 30.0


class DataDirectory:
    """Layout: `kafka/`, `redis/`, `logs/`, `state.json`, `lock`."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.logs = self.root / "logs"
        self.state = StateFile(self.root / "state.json")
        self._lock = self.root / "lock"

    def home(self, name: str) -> Path:
        """Where the server of this name keeps its data, and its working directory."""
        return self.root / name

    def make_ready(self) -> None:
        """Create what is missing.

        Raises ConfigurationError if it cannot be written, UnavailableError if less than 200 MB are free.
        """
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            self._lock.touch()
            free = shutil.disk_usage(self.root).free
        except OSError as error:
            raise ConfigurationError(
                f"the data directory {self.root} cannot be written ({error.strerror}); "
                "make it writable or set another one"
            ) from error
        if free < MINIMUM_FREE_BYTES:
            raise UnavailableError(
                f"only {free >> 20} MB are free where {self.root} lies, and the servers need at least "
                f"{MINIMUM_FREE_BYTES >> 20} MB; free some space or set another data directory"
            )

    @contextmanager
    def locked(self, bound_s: float = LOCK_BOUND_S) -> Iterator[None]:
        """Hold the one right to start and stop here. The kernel takes it back when the holder dies.

        Raises UnavailableError if another process keeps it for `bound_s` seconds.
        """
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not wait_until(lambda: _try_lock(descriptor), bound_s):
                holder = os.pread(descriptor, 32, 0).decode().strip()
                raise UnavailableError(
                    f"process {holder} has been starting or stopping the servers in {self.root} for more than "
                    f"{bound_s:.0f} s; wait for it, or end it and try again"
                )
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
