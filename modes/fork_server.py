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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
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
#: Variables that only a new interpreter obeys: a process that has others than the server is no fork of it.
_OF_INTERPRETERS: Final = ("PYTHON", "LD_", "MALLOC_")
_TASKS: Final = Path("/proc/self/task")


class ForkServer:
    """Starts processes by a server that has loaded modules; a `Launcher`. A context manager.

    Where this process has a single thread the server is forked from it, and loads what this process has not yet;
    otherwise it is a command. Make it before files are opened that others wait for: the server would keep them open.
    """

    def __init__(self, modules: Sequence[str]) -> None:
        """`modules`: what the server loads, while this process goes on."""
        self._commands = Commands()
        self._taken = _of_interpreters(os.environ)
        self._lock = threading.Lock()
        self._server: socket.socket | None = None
        self._ended: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
        if sys.platform == "linux" and not _customised():
            with contextlib.suppress(OSError):
                self._begin(modules)

    def _begin(self, modules: Sequence[str]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            if len([*_TASKS.iterdir()]) > 1:
                command = [sys.executable, "-m", __name__, *modules]
                self._ended = subprocess.Popen(command, stdin=theirs.fileno(), start_new_session=True)  # noqa: S603 - ours
            elif pid := os.fork():
                self._ended = _waited_for(pid)
            else:
                ours.close()
                os.setsid()
                _serve(theirs, modules)
        self._server = ours

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the server, and with it the processes that it has started and that still run."""
        if self._server is not None:
            self._server.close()
            self._server = None
        with self._ended:
            pass

    def start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        output: Path | None = None,
        error: Path | None = None,
    ) -> Process:
        """See `Launcher`."""
        with self._lock:
            if self._server is not None and _of_interpreters(environment) == self._taken:
                try:
                    return _asked(self._server, command, environment, output, error)
                except (BrokenPipeError, ConnectionResetError, EOFError):
                    log.warning("the fork server has ended: roles are started as commands")
                    self._server.close()
                    self._server = None
        return self._commands.start(command, environment, output, error)


class _Forked:
    """A process that the server has forked; see `Process`."""

    def __init__(self, pid: int, told: int) -> None:
        """`told`: the pipe by which its exit code comes."""
        self.pid = pid
        self.returncode: int | None = None
        self._told = told

    def __del__(self) -> None:
        os.close(self._told)

    def poll(self) -> int | None:
        """See `Process`."""
        if self.returncode is None and _readable(self._told, 0):
            self._end()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """See `Process`."""
        if self.returncode is None:
            if not _readable(self._told, timeout):
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            self._end()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, sig: int) -> None:
        """See `Process`."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sig)

    def kill(self) -> None:
        """See `Process`."""
        self.send_signal(signal.SIGKILL)

    def _end(self) -> None:
        try:
            self.returncode = _number(self._told)
        except EOFError:
            # the server is gone, and the kernel has sent it a SIGTERM for that
            with contextlib.suppress(OSError):
                process = os.pidfd_open(self.pid)
                _readable(process, None)
                os.close(process)
            self.returncode = -signal.SIGTERM


def _asked(
    server: socket.socket,
    command: Sequence[str],
    environment: Mapping[str, str],
    output: Path | None,
    error: Path | None,
) -> Process:
    """A process that the server forks. Raises `OSError` where it cannot, `EOFError` where it is gone."""
    request = json.dumps({"command": [*command], "environment": {**environment}, "folder": str(Path.cwd())}).encode()
    with ExitStack() as stack:
        files = [path and stack.enter_context(path.open("ab")).fileno() for path in (output, error)]
        out = files[0] or 1
        err = files[1] or files[0] or 2
        told, tells = os.pipe()
        try:
            try:
                socket.send_fds(server, [request], [out, err, tells])
            finally:
                # the server's end alone keeps the pipe open
                os.close(tells)
            pid = _number(told)
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


def _number(told: int) -> int:
    """The next number in a pipe. Raises `EOFError`."""
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


@contextmanager
def _waited_for(pid: int) -> Iterator[None]:
    """Waits in the end for a process of ours."""
    yield
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def _serve(control: socket.socket, modules: Sequence[str]) -> None:
    """The server's whole life: it never returns."""
    code = 1
    try:
        setproctitle("fourfold: fork server")
        gc.disable()
        for module in modules:
            # whoever needs it will say what is wrong with it
            with contextlib.suppress(Exception):
                import_module(module)
        # garbage collectors of children have no reason to touch, and so to copy, what is here
        gc.freeze()
        _Server(control).run()
        code = 0
    except BaseException:  # noqa: BLE001 - a bug here must not run on as the process that this was forked from
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


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
            pid = os.fork()
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
