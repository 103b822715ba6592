"""Files that are there whole, or not at all, whatever is killed when."""

from __future__ import annotations

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Makes a file's content, or a folder's entries, survive a crash of the machine."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_whole(path: Path, content: bytes) -> None:
    """Replaces `path` in one step."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    _write(temporary, content)
    temporary.replace(path)
    sync(path.parent)


def write_new(path: Path, content: bytes) -> None:
    """Makes `path` in one step. Raises `FileExistsError` where somebody made it before."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    _write(temporary, content)
    try:
        # unlike a rename, a link does not replace what is there
        os.link(temporary, path)
    finally:
        temporary.unlink()
    sync(path.parent)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
