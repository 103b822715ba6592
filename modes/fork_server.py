"""Starts processes by a server that has loaded what roles need, and forks each one (`forking`).

Loading libraries is nearly all that a role does until it works: over a second of CPU at each start. Works on Linux only.
Elsewhere, where tools act in each new interpreter, and where the server has ended, a process is started as a command
(`launcher.Commands`).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import structlog

from modes import forking
from modes.catalogue import Role
from modes.launcher import Commands, Launch, Process

log = structlog.get_logger(__name__)

#: The longest time, in seconds, that the server may load before it forks.
LOAD_S: Final = 60.0
#: The longest time, in seconds, that it may take to end.
END_S: Final = 5.0
#: Variables that only a new interpreter obeys: a process that has others than the server is no fork of it.
_OF_INTERPRETERS: Final = ("PYTHON", "LD_", "MALLOC_")


class ForkServer:
    """Starts processes by a server that has loaded modules; a `Launcher`. A context manager."""

    def __init__(self, modules: Sequence[str]) -> None:
        """`modules`: what the server loads, while this process continues."""
        self._commands = Commands()
        self._taken = _of_interpreters(os.environ)
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._server: subprocess.Popen[bytes] | None = None
        if sys.platform == "linux" and not _customised():
            # an old kernel, or no more processes: roles are commands
            with contextlib.suppress(OSError):
                os.close(os.pidfd_open(os.getpid()))
                self._begin(modules)

    @classmethod
    def for_roles(cls, roles: Iterable[Role]) -> Self:
        """A server that has loaded what these roles need."""
        return cls(["modes.cli", "modes.commands.roles", *(f"modes.roles.{role}" for role in roles)])

    def _begin(self, modules: Sequence[str]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", forking.__name__, *modules]
        try:
            with theirs:
                self._server = subprocess.Popen(command, stdin=theirs.fileno(), start_new_session=True)  # noqa: S603 - ours
        except OSError:
            ours.close()
            raise
        self._control = ours

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the server, and with it the processes that it has started and that still run."""
        self._let_go()
        if self._server is not None:
            try:
                self._server.wait(END_S)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()

    def _let_go(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None

    def start(self, launch: Launch) -> Process:
        """See `Launcher`."""
        with self._lock:
            if self._control is not None and _of_interpreters(launch.environment) == self._taken:
                try:
                    return _asked(self._control, launch)
                except (BrokenPipeError, ConnectionResetError, EOFError):
                    self._give_up("has ended")
                except TimeoutError:
                    self._give_up("does not answer")
                except OSError as refused:
                    # more than a message holds
                    if refused.errno != errno.EMSGSIZE:
                        raise
        return self._commands.start(launch)

    def _give_up(self, why: str) -> None:
        log.warning("roles are started as commands from now on", reason=f"the fork server {why}")
        self._let_go()
        if self._server is not None:
            self._server.kill()


class _Forked:
    """A process that the server has forked; see `Process`."""

    def __init__(self, pid: int, told: int) -> None:
        """`told`: the pipe by which its exit code comes."""
        self.pid = pid
        self.returncode: int | None = None
        self._told = told
        self._process: int | None = None
        # where it is gone already, its code is in the pipe
        with contextlib.suppress(ProcessLookupError):
            self._process = os.pidfd_open(pid)

    def __del__(self) -> None:
        os.close(self._told)
        if self._process is not None:
            os.close(self._process)

    def poll(self) -> int | None:
        """See `Process`."""
        self._look(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """See `Process`."""
        self._look(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return self.returncode

    def send_signal(self, sig: int) -> None:
        """See `Process`."""
        if self._process is not None and self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._process, sig)

    def kill(self) -> None:
        """See `Process`."""
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout_s: float | None) -> None:
        if self.returncode is not None or not _readable(self._told, timeout_s):
            return
        try:
            self.returncode = _number(self._told)
        except EOFError:
            # the server is gone, and the kernel has sent it a SIGTERM for that, which it may take its time for
            if self._process is None or _readable(self._process, timeout_s):
                self.returncode = -signal.SIGTERM


def _asked(server: socket.socket, launch: Launch) -> Process:
    """A process that the server forks.

    Raises `OSError` where it cannot, `EOFError` where it is gone, `TimeoutError` where it does not answer.
    """
    asked = {"command": [*launch.command], "environment": {**launch.environment}, "folder": str(Path.cwd())}
    request = json.dumps(asked).encode()
    with ExitStack() as stack:
        files = [
            None if path is None else stack.enter_context(path.open("ab")).fileno()
            for path in (launch.output, launch.error)
        ]
        out = 1 if files[0] is None else files[0]
        err = files[1] if files[1] is not None else 2 if files[0] is None else files[0]
        told, tells = os.pipe()
        try:
            try:
                socket.send_fds(server, [request], [out, err, tells])
            finally:
                # the server's end alone keeps the pipe open
                os.close(tells)
            pid = _number(told, LOAD_S)
        except BaseException:
            os.close(told)
            raise
    if pid < 0:
        os.close(told)
        raise OSError(-pid, os.strerror(-pid))
    return _Forked(pid, told)


def _readable(file: int, timeout_s: float | None) -> bool:
    """Whether something can be read within `timeout_s` seconds; None waits without a limit."""
    polled = select.poll()
    polled.register(file, select.POLLIN)
    return bool(polled.poll(None if timeout_s is None else timeout_s * 1000))


def _number(told: int, within_s: float | None = None) -> int:
    """The next number in a pipe. Raises `EOFError`, and `TimeoutError` where none comes in time."""
    if not _readable(told, within_s):
        raise TimeoutError
    data = os.read(told, forking.NUMBER.size)
    if not data:
        raise EOFError
    return int(forking.NUMBER.unpack(data)[0])


def _customised() -> bool:
    """Whether somebody has each new interpreter do something at its start, as tools do that watch, trace or break it."""
    standard = Path(sysconfig.get_path("stdlib")).resolve()
    for name in ("sitecustomize", "usercustomize"):
        file = getattr(sys.modules.get(name), "__file__", None)
        # some systems come with one
        if file and Path(file).parent.resolve() != standard:
            return True
    watched = sys.gettrace() is not None or sys.getprofile() is not None
    return watched or bool(os.environ.get("PYTHONPATH") or os.environ.get("COVERAGE_PROCESS_START"))


def _of_interpreters(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_OF_INTERPRETERS)}
