"""Mending Redis' append-only file before a start: a crash may have torn its end."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from core.errors import UnavailableError

#: From Redis 7.0 on a folder with a manifest, before that one file.
FOLDER: Final = Path("appendonlydir")
_MANIFEST: Final = FOLDER / "appendonly.aof.manifest"
_SINGLE: Final = Path("appendonly.aof")


def mend(home: Path, binary: Path) -> bool:
    """Cut off what cannot be read at the end of the append-only file(s) in `home`. Returns whether anything was.

    Raises UnavailableError if more than an end is damaged.
    """
    files = [home / name for name in (_MANIFEST, _SINGLE)]
    # An empty one is as good as none, and the checker refuses it.
    mended = [_mend_one(file, binary) for file in files if file.exists() and file.stat().st_size]
    return any(mended)


def _mend_one(file: Path, binary: Path) -> bool:
    before = _bytes_below(file)
    # The server is its own checker when it is called by this name.
    check = subprocess.run(  # noqa: S603 - the chosen redis-server, no shell
        ["redis-check-aof", "--fix", str(file)],  # noqa: S607 - a name; `executable` is what runs
        executable=binary,
        input="y\n",
        capture_output=True,
        text=True,
        check=False,
    )
    if check.returncode:
        lines = (check.stdout + check.stderr).strip().splitlines()
        raise UnavailableError(
            f"the append-only file {file} is damaged beyond its end ({lines[-1] if lines else 'no reason given'}); "
            f"remove the directory {file.parent} and start again: Fourfold counts anew from the log"
        )
    return _bytes_below(file) < before


def _bytes_below(file: Path) -> int:
    if file.name == _SINGLE.name:
        return file.stat().st_size
    return sum(each.stat().st_size for each in file.parent.iterdir())
