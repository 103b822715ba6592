"""The folder of one recompute's spilled files: gone at its end, or after a kill at the next one's start."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_PREFIX: Final = "spill-"
_LOCK: Final = "lock"


class Scratch:
    """A context manager that gives a new folder inside of `parent`."""

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._lock = -1
        self.path = parent

    def __enter__(self) -> Self:
        for left in self._parent.glob(f"{_PREFIX}*"):
            _remove_if_left(left)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._parent))
        self._lock = os.open(self.path / _LOCK, os.O_CREAT | os.O_RDWR)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _remove_if_left(folder: Path) -> None:
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR)
    except (FileNotFoundError, NotADirectoryError):
        # about to be locked, or about to go; or a file of somebody else
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        # another recompute is at work in there
        pass
    finally:
        os.close(lock)
