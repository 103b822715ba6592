"""Becomes a server: `python launch.py OWNER HOME COMMAND...`. Run as a script, so only the standard library.

It replaces code between fork and exec, which is not safe in a process that has threads. OWNER is the pid of the
process that the server shall die with, or 0 for none.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1


def die_with(owner: int) -> None:
    """Ask the kernel for SIGTERM when the owner ends. Linux only: elsewhere the owner has to stop the server itself."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != owner:
        sys.exit("the process that started this server ended at once")


def become(owner: int, home: str, command: list[str]) -> None:
    """Leave the terminal's session (Ctrl-C is the owner's business), enter `home`, and run the command."""
    os.setsid()
    if owner:
        die_with(owner)
    os.chdir(home)
    os.execv(command[0], command)  # noqa: S606 - a command built by this package, no shell


if __name__ == "__main__":
    become(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
