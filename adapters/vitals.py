"""The vital signs of a process: whether each of its threads and tasks lives, and moves."""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from core.errors import FourfoldError
from core.secrets import redacted

log = structlog.get_logger(__name__)

EVERY_S: Final = 0.5
#: Something that does not move for so long hangs. Far above what a slow store or a busy machine makes of it.
HUNG_S: Final = 90.0
#: A process that was told to end has so long before it is ended.
BOUND_S: Final = 10.0
#: The exit code of a process that could not end by itself (EX_SOFTWARE): its supervisor starts it again.
EXIT_CODE: Final = 70


class DeadThreadError(Exception):
    """A thread or task of this process ended by a bug, or hangs. The process cannot go on."""


class _HungError(Exception):
    """A thread does not move."""


class Pulse:
    """A number that grows, for what has none."""

    def __init__(self) -> None:
        self.beats = 0

    def beat(self) -> None:
        """One more."""
        self.beats += 1


@dataclass(slots=True)
class _Sign:
    check: Callable[[], None]
    beats: Callable[[], int]
    seen: int = 0
    silent_s: float = 0.0


class Vitals:
    """Watches the threads and tasks of one process, also those that libraries start.

    The first that dies by an error, or hangs, decides: `trouble` says it, `check` raises it, and while
    `running` the process is told to end.
    """

    def __init__(
        self,
        *,
        every_s: float = EVERY_S,
        hung_s: float = HUNG_S,
        clock: Callable[[], float] = time.monotonic,
        leave: Callable[[int], object] = os._exit,
    ) -> None:
        """`leave`: ends the process at once, with an exit code."""
        self._every_s = every_s
        self._hung_s = hung_s
        self._clock = clock
        self._leave = leave
        self._signs: dict[str, _Sign] = {}
        self._looked_at = clock()
        self._lock = threading.Lock()
        self._dead: dict[str, BaseException] = {}
        self._over = threading.Event()

    def watch(
        self, name: str, *, check: Callable[[], None] = lambda: None, beats: Callable[[], int] = lambda: 0
    ) -> None:
        """Watches one more.

        Args:
            name: what health says.
            check: raises what ended it.
            beats: a number that grows while it works. It counts from the first beat on.
        """
        self._signs[name] = _Sign(check, beats)

    def died(self, name: str, error: BaseException) -> None:
        """Something ended by an error. May be called from any thread."""
        with self._lock:
            if name in self._dead:
                return
            self._dead[name] = error
        if isinstance(error, FourfoldError):
            log.error("cannot go on, this process ends", thread=name, reason=str(error))
        else:
            log.error(
                "a thread ended by a bug, this process ends",
                thread=name,
                exc_info=(type(error), error, error.__traceback__),
            )

    def look(self) -> None:
        """Looks at all of them once.

        Silence is counted by looks: after a sleep of the whole machine, or of this process, nobody has been silent.
        """
        now = self._clock()
        passed, self._looked_at = min(now - self._looked_at, 2 * self._every_s), now
        self._ask()
        for name, sign in list(self._signs.items()):
            beats = sign.beats()
            sign.silent_s = sign.silent_s + passed if beats and beats == sign.seen else 0.0
            sign.seen = beats
            if sign.silent_s > self._hung_s and name not in self._dead:
                self.died(name, _HungError(f"has not moved for {self._hung_s:g} s"))
                _dump()

    @property
    def trouble(self) -> str:
        """What died or hangs, and why, in one line; empty where all is well."""
        self._ask()
        with self._lock:
            return "; ".join(f"{name}: {_words(error)}" for name, error in self._dead.items())

    def check(self) -> None:
        """Raises what died first: errors for people as they are, everything else as `DeadThreadError`."""
        self._ask()
        with self._lock:
            first = next(iter(self._dead.items()), None)
        if first is None:
            return
        name, error = first
        if isinstance(error, FourfoldError):
            raise error
        raise DeadThreadError(f"{name} ended: {_words(error)}") from error

    @contextmanager
    def running(self, end: Callable[[], object], *, linger_s: float = 0.0, bound_s: float = BOUND_S) -> Iterator[None]:
        """Watches from a thread of its own, until the end of the context.

        Args:
            end: tells the process to end; called once something is dead. The caller then calls `check`.
            linger_s: health says for so long what is dead, before `end` is called.
            bound_s: a process that still runs so long after `end` is left, after a bug with `EXIT_CODE`.
        """
        before = threading.excepthook
        threading.excepthook = self._hook
        thread = threading.Thread(target=self._run, args=(end, linger_s, bound_s), name="vitals", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            threading.excepthook = before
            thread.join(1)

    def _ask(self) -> None:
        for name, sign in list(self._signs.items()):
            try:
                sign.check()
            except BaseException as error:  # noqa: BLE001 - kept, and raised by `check`
                self.died(name, error)

    def _hook(self, ended: threading.ExceptHookArgs) -> None:
        name = ended.thread.name if ended.thread else "a thread"
        self.died(name, ended.exc_value or ended.exc_type())

    def _run(self, end: Callable[[], object], linger_s: float, bound_s: float) -> None:
        try:
            while not self._dead:
                if self._over.wait(self._every_s):
                    return
                self.look()
        except BaseException as error:  # noqa: BLE001 - who watches is watched as well
            self.died("vitals", error)
        known = list(self._dead.values())
        if not any(isinstance(error, FourfoldError) for error in known) and self._over.wait(linger_s):
            return
        try:
            end()
        finally:
            if not self._over.wait(bound_s):
                self._leave_now(bound_s)

    def _leave_now(self, bound_s: float) -> None:
        log.critical("this process does not end by itself: it is ended", within_s=bound_s)
        first = next(iter(self._dead.values()))
        if isinstance(first, FourfoldError):
            # as the command line says it, in the last line
            print(f"fourfold: {first}", file=sys.stderr, flush=True)
            self._leave(first.exit_code)
        else:
            _dump()
            self._leave(EXIT_CODE)


def _words(error: BaseException) -> str:
    if isinstance(error, FourfoldError | _HungError):
        return str(error)
    return redacted(f"a bug ({type(error).__name__}: {error})".replace("\n", " "))


def _dump() -> None:
    """Where each thread stands, for the log."""
    try:
        faulthandler.dump_traceback(sys.stderr, all_threads=True)
    except (OSError, ValueError, AttributeError):
        # standard error is no file here
        log.debug("no stacks can be written")
