"""Becomes a server: `python launch.py OWNER HOME COMMAND...`. Run as a script, so only the standard library.

It replaces code between fork and exec, which is not safe in a process that has threads. OWNER is the pid of the
process that the server shall die with, or 0 for none.
"""

from __future__ import annotations

import ctypes
import locale
import os
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1
#: UTF-8 by the first name that the system knows: older versions of macOS have no C.UTF-8.
LOCALES: Final = ("C.UTF-8", "en_US.UTF-8")


def die_with(owner: int) -> None:
    """Ask the kernel for SIGTERM when the owner ends. Linux only: elsewhere the owner has to stop the server itself."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != owner:
        sys.exit("the process that started this server ended at once")


def known_locale() -> str:
    """A locale that this system knows, in UTF-8 if it knows one."""
    for name in LOCALES:
        try:
            locale.setlocale(locale.LC_ALL, name)
        except locale.Error:
            continue
        return name
    return "C"


def become(owner: int, home: str, command: list[str]) -> None:
    """Leave the terminal's session (Ctrl-C is the owner's business), enter `home`, and run the command."""
    os.setsid()
    if owner:
        die_with(owner)
    os.chdir(home)
    # Java reads the locale to decode the names of files; in the C locale it cannot name a directory like "Büro".
    # Redis does not start under one that the system does not know, such as a terminal may bring from elsewhere.
    os.environ["LC_ALL"] = known_locale()
    os.execv(command[0], command)  # noqa: S606 - a command built by this package, no shell


if __name__ == "__main__":
    become(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
