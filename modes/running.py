"""What `fourfold up` runs, told to other commands through a file in the data directory."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import structlog

from core.errors import ConfigurationError
from modes.supervisor import Child

if TYPE_CHECKING:
    from adapters.embedded.keeper import KeptServer

log = structlog.get_logger(__name__)


@contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Holds the directory's lock. Raises `ConfigurationError` where another `up` holds it."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / "up.lock").open("a+")
    except OSError as error:
        raise ConfigurationError(
            f"{data_dir} cannot be written ({error.strerror}): make it writable, or set FOURFOLD_DATA_DIR"
        ) from error
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "?"
            raise ConfigurationError(
                f"`fourfold up` runs in {data_dir} already (process {owner}): stop it, look at it "
                "with `fourfold watch`, or set FOURFOLD_DATA_DIR to another directory"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            (data_dir / "up.json").unlink(missing_ok=True)


def write(
    data_dir: Path,
    mode: str,
    children: Sequence[Child],
    api: str | None = None,
    servers: Sequence[KeptServer] = (),
) -> None:
    """Tells what runs now, and where the API is. A full disk is no reason to stop.

    Raises `ConfigurationError` where the directory was removed.
    """
    document = {
        "mode": mode,
        "api": api,
        "pid": os.getpid(),
        "roles": [
            {
                "name": child.name,
                "pid": child.pid,
                "state": child.state,
                "restarts": child.restarts,
                "log": str(child.log_file),
                "reason": reason_of(child),
            }
            for child in children
        ],
        "servers": [
            {
                "name": server.name,
                "pid": server.pid,
                "state": server.state,
                "restarts": server.restarts,
                "log": str(server.log),
                "reason": server.reason,
            }
            for server in servers
        ],
    }
    temporary = data_dir / "up.json.new"
    try:
        temporary.write_text(json.dumps(document))
        temporary.replace(data_dir / "up.json")
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"{data_dir} was removed while `fourfold up` ran in it: the next start counts a new log"
        ) from error
    except OSError as error:
        log.debug("cannot tell what runs", reason=str(error))


def reason_of(child: Child) -> str:
    """Why a role does not run, where that is more than one death; else empty."""
    if not child.crashing:
        return ""
    return f"died {child.short_lives} times in a row: {child.last_words() or f'exit code {child.last_code}'}"


def read(data_dir: Path) -> dict[str, Any] | None:
    """What an `up` of this directory runs; None if none does."""
    try:
        document: dict[str, Any] = json.loads((data_dir / "up.json").read_text())
    except (OSError, ValueError):
        return None
    return document if psutil.pid_exists(document.get("pid", -1)) else None
