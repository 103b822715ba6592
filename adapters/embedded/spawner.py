"""Starting a server process, owned by this process or on its own."""

from __future__ import annotations

import functools
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from adapters import launch
from adapters.embedded.process import ProcessIdentity
from adapters.embedded.surroundings import server_environment


@functools.cache
def _thread() -> ThreadPoolExecutor:
    """One thread that lives as long as the process.

    Linux sends the death signal when the *thread* that forked ends, not the process.
    """
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedded-spawner")


def spawn(command: list[str], *, home: Path, console: Path, owned: bool) -> ProcessIdentity:
    """Start `command` in `home`, its output appended to the file `console`.

    owned: it gets SIGTERM when this process ends, however that happens (Linux; elsewhere only by an orderly stop).
    """
    owner = os.getpid() if owned else 0
    script = [sys.executable, "-I", "-S", launch.__file__, str(owner), str(home), *command]
    output = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(console), output, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    start = functools.partial(os.posix_spawn, sys.executable, script, server_environment(), file_actions=files)
    return ProcessIdentity.of(_thread().submit(start).result())
