"""What runs in the fork server's process: it loads modules, and forks a process for each request.

A request is one message with three open files: output, error, and a pipe by which the server tells the pid (or the number
of an error, below 0) and then the exit code. The server ends when the process that started it does, and its children
when the server does.
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
import sys
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from setproctitle import setproctitle

from adapters.launch import die_with

#: How a pid or an exit code is sent.
NUMBER: Final = struct.Struct("q")
_MAX_REQUEST: Final = 1 << 20


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
            os.write(pipe, NUMBER.pack(number))


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
