"""A server that has loaded what roles need, and forks a process for each one that is to be started.

Loading its libraries is nearly all that a role does until it works: over a second of a processor each time. Linux alone:
elsewhere, where somebody has each new interpreter do something, and where the server is gone, a process is started as a
command (`launcher.Commands`).

Each process is asked for by one message, with three open files: its output, its error, and a pipe by which the server
tells its pid (or the number of an error, below 0) and then its exit code. The server ends when the process that made it
does, and its children when the server does.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import gc
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import sysconfig
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import structlog
from setproctitle import setproctitle

from adapters.launch import die_with
from modes.launcher import Commands, Process

log = structlog.get_logger(__name__)

#: A pid or an exit code on its way.
_NUMBER: Final = struct.Struct("q")
_MAX_REQUEST: Final = 1 << 20
#: The server may load for so long before it forks.
LOAD_S: Final = 60.0
#: It ends within so long.
END_S: Final = 5.0
#: Variables that only a new interpreter obeys: a process that has others than the server is no fork of it.
_OF_INTERPRETERS: Final = ("PYTHON", "LD_", "MALLOC_")


class ForkServer:
    """Starts processes by a server that has loaded modules; a `Launcher`. A context manager."""

    def __init__(self, modules: Sequence[str]) -> None:
        """`modules`: what the server loads, while this process goes on."""
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

    def _begin(self, modules: Sequence[str]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", __name__, *modules]
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

    def start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        output: Path | None = None,
        error: Path | None = None,
    ) -> Process:
        """See `Launcher`."""
        with self._lock:
            if self._control is not None and _of_interpreters(environment) == self._taken:
                try:
                    return _asked(self._control, command, environment, output, error)
                except (BrokenPipeError, ConnectionResetError, EOFError):
                    self._give_up("has ended")
                except TimeoutError:
                    self._give_up("does not answer")
                except OSError as refused:
                    # more than a message holds
                    if refused.errno != errno.EMSGSIZE:
                        raise
        return self._commands.start(command, environment, output, error)

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


def _asked(
    server: socket.socket,
    command: Sequence[str],
    environment: Mapping[str, str],
    output: Path | None,
    error: Path | None,
) -> Process:
    """A process that the server forks.

    Raises `OSError` where it cannot, `EOFError` where it is gone, `TimeoutError` where it does not answer.
    """
    request = json.dumps({"command": [*command], "environment": {**environment}, "folder": str(Path.cwd())}).encode()
    with ExitStack() as stack:
        files = [None if path is None else stack.enter_context(path.open("ab")).fileno() for path in (output, error)]
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
    """Whether something can be read within so many seconds; None: however long it takes."""
    polled = select.poll()
    polled.register(file, select.POLLIN)
    return bool(polled.poll(None if timeout_s is None else timeout_s * 1000))


def _number(told: int, within_s: float | None = None) -> int:
    """The next number in a pipe. Raises `EOFError`, and `TimeoutError` where none comes in time."""
    if not _readable(told, within_s):
        raise TimeoutError
    data = os.read(told, _NUMBER.size)
    if not data:
        raise EOFError
    return int(_NUMBER.unpack(data)[0])


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


def _serve(control: socket.socket, modules: Sequence[str]) -> None:
    """The server's whole life."""
    setproctitle("fourfold: fork server")
    gc.disable()
    for module in modules:
        # whoever needs it will say what is wrong with it
        with contextlib.suppress(Exception):
            import_module(module)
    # garbage collectors of children have no reason to touch, and so to copy, what is here
    gc.freeze()
    _Server(control).run()
    # at once, without what the modules want done at their end: that is for the children
    os._exit(0)


class _Server:
    """What runs in the server's process."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._pipes: dict[int, int] = {}
        self._woken, self._wakes = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wakes, False)
        signal.set_wakeup_fd(self._wakes)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def run(self) -> None:
        """Forks as it is asked to, until nobody can ask any more."""
        while True:
            ready, _, _ = select.select([control := self._control.fileno(), self._woken], [], [])
            if self._woken in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._woken, 4096)
                self._reap()
            if control in ready:
                request, files, _, _ = socket.recv_fds(self._control, _MAX_REQUEST, 3)
                if not request:
                    return
                self._fork(request, files)

    def _fork(self, request: bytes, files: Sequence[int]) -> None:
        out, err, tells = files
        server = os.getpid()
        try:
            pid = _forked()
        except OSError as error:
            self._tell(tells, -(error.errno or 1))
            os.close(tells)
        else:
            if not pid:
                self._leave(tells)
                _become(json.loads(request), out, err, server)
            self._tell(tells, pid)
            self._pipes[pid] = tells
        os.close(out)
        os.close(err)

    def _leave(self, tells: int) -> None:
        """What is the server's is closed in the child."""
        signal.set_wakeup_fd(-1)
        self._control.close()
        for pipe in (self._woken, self._wakes, tells, *self._pipes.values()):
            os.close(pipe)

    def _reap(self) -> None:
        for pid in list(self._pipes):
            ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None:
                continue
            # told before its number is free for another process
            code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
            pipe = self._pipes.pop(pid)
            self._tell(pipe, code)
            os.close(pipe)
            os.waitpid(pid, 0)

    @staticmethod
    def _tell(pipe: int, number: int) -> None:
        # whoever asked may be gone
        with contextlib.suppress(BrokenPipeError):
            os.write(pipe, _NUMBER.pack(number))


def _forked() -> int:
    """As `os.fork`. Libraries have threads here that sleep, and see to forks themselves: OpenBLAS's, jemalloc's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _become(request: Mapping[str, Any], out: int, err: int, server: int) -> None:
    """The child's whole life, as that of `python -m COMMAND`: it never returns."""
    code: object = 1
    interrupted = False
    try:
        command = request["command"]
        os.setsid()
        _reset_signals()
        os.environ.clear()
        os.environ.update(request["environment"])
        if "FOURFOLD_OWNER" in os.environ:
            # which ends with its owner
            os.environ["FOURFOLD_OWNER"] = str(server)
        die_with(server)
        time.tzset()
        os.chdir(request["folder"])
        _open_streams(out, err)
        sys.argv = [*command]
        sys.orig_argv = [sys.executable, "-m", *command]
        sys.excepthook = sys.__excepthook__
        setproctitle(" ".join(sys.orig_argv))
        gc.enable()
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as ended:
        code = ended.code
        if not isinstance(code, int | None):
            print(code, file=sys.stderr)
            code = 1
    except BaseException as error:  # noqa: BLE001 - shown as at the end of every Python program
        sys.excepthook(*sys.exc_info())
        interrupted = isinstance(error, KeyboardInterrupt)
    finally:
        _finish()
        if interrupted:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        os._exit(int(code or 0) & 0xFF)  # type: ignore[call-overload]


def _reset_signals() -> None:
    """As in a new process: what handlers the server has, or the process that it was forked from, are not the child's."""
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _open_streams(out: int, err: int) -> None:
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    for number in {out, err} - {1, 2}:
        os.close(number)
    encoding = sys.__stdout__.encoding if sys.__stdout__ else "utf-8"
    sys.stdin = os.fdopen(0, encoding=encoding, closefd=False)
    sys.stdout = os.fdopen(1, "w", 1 if os.isatty(1) else -1, encoding=encoding, closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, encoding=encoding, errors="backslashreplace", closefd=False)


def _finish() -> None:
    """What Python does at its end: waits for threads, runs what was registered, writes what is left."""
    ends: Sequence[Any] = (threading._shutdown, atexit._run_exitfuncs)  # type: ignore[attr-defined]  # noqa: SLF001
    for action in (*ends, sys.stdout.flush, sys.stderr.flush):
        with contextlib.suppress(Exception):
            action()


if __name__ == "__main__":
    with socket.socket(fileno=os.dup(0)) as _control:
        _serve(_control, sys.argv[1:])
