"""How a role's process is started: as a separate command, or by a server that has loaded it (`fork_server`)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Protocol


class Process(Protocol):
    """A process that was started; as `subprocess.Popen`."""

    @property
    def pid(self) -> int:
        """Its process id."""

    @property
    def returncode(self) -> int | None:
        """The exit code, below 0 for a signal; None while nobody has seen it end."""

    def poll(self) -> int | None:
        """The exit code; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """The exit code at its end. Raises `subprocess.TimeoutExpired` after `timeout` seconds."""

    def send_signal(self, sig: int) -> None:
        """A signal; nothing where it has ended."""

    def kill(self) -> None:
        """SIGKILL."""


class Launch(NamedTuple):
    """What is started: `python -m COMMAND`, in a new session.

    Attributes:
        command: A module and its arguments.
        environment: The whole environment. `FOURFOLD_OWNER`: the pid of this process, where it is to end with it.
        output: The file to which its output is appended; None where it writes where this process writes.
        error: As `output`, for standard error alone; None where it goes the same way as the output.
    """

    command: Sequence[str]
    environment: Mapping[str, str]
    output: Path | None = None
    error: Path | None = None


class Launcher(Protocol):
    """Starts processes of this program."""

    def start(self, launch: Launch) -> Process:
        """Starts a process. Raises `OSError` where there is no memory, no process, or no space for its output."""


class Commands:
    """Starts each process as a separate command, which loads all its libraries."""

    def start(self, launch: Launch) -> Process:
        """See `Launcher`."""
        with ExitStack() as stack:
            out, err = (None if p is None else stack.enter_context(p.open("ab")) for p in (launch.output, launch.error))
            return subprocess.Popen(  # noqa: S603 - our own command line
                [sys.executable, "-m", *launch.command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err or (out and subprocess.STDOUT),
                env=launch.environment,
                start_new_session=True,
            )
