"""How a role's process is started: as a command of its own, or by a server that has loaded it (`fork_server`)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol


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
        """The exit code at its end. Raises `subprocess.TimeoutExpired` after so many seconds."""

    def send_signal(self, sig: int) -> None:
        """A signal; nothing where it has ended."""

    def kill(self) -> None:
        """SIGKILL."""


class Launcher(Protocol):
    """Starts processes of this program."""

    def start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        output: Path | None = None,
        error: Path | None = None,
    ) -> Process:
        """Starts `python -m COMMAND` in a session of its own.

        Args:
            command: A module and its arguments.
            environment: All of its environment. `FOURFOLD_OWNER`: the pid of this process, where it is to end with it.
            output: The file to which its output is appended; None where it writes where this process writes.
            error: As `output`, for standard error alone; None where it goes the same way as the output.

        Raises:
            OSError: There is no memory, no process, or no space for its output.
        """


class Commands:
    """Starts each process as a command of its own, which loads everything for itself."""

    def start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        output: Path | None = None,
        error: Path | None = None,
    ) -> Process:
        """See `Launcher`."""
        with ExitStack() as stack:
            out, err = (None if path is None else stack.enter_context(path.open("ab")) for path in (output, error))
            return subprocess.Popen(  # noqa: S603 - our own command line
                [sys.executable, "-m", *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err or (out and subprocess.STDOUT),
                env=environment,
                start_new_session=True,
            )
