"""Keeping embedded servers running: one that dies, or does not answer any more, is started again as it was."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from adapters.embedded.process import ProcessIdentity
from adapters.embedded.server import EmbeddedServer, Progress
from adapters.embedded.servers import EmbeddedServers
from adapters.embedded.state import ServerRecord
from core.errors import ConfigurationError, FourfoldError, UnavailableError

#: Deaths are noticed within so long.
LOOK_EVERY_S: Final = 0.25
#: Whether it answers is asked so often, and so long is waited for the answer.
ASK_EVERY_S: Final = 3.0
ASK_BOUND_S: Final = 5.0
#: One that runs and has not answered for so long, and so often, hangs: it is killed and started again.
HUNG_S: Final = 30.0
HUNG_ASKED: Final = 4
#: Pauses between starts; the first one comes at once.
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 10.0
#: After so long a life a death counts as the first one again.
STEADY_S: Final = 30.0
#: So many deaths or vain starts in a row are the end.
TRIES: Final = 8
#: Another process may hold the right to start and stop for so long.
_LOCK_BOUND_S: Final = 30.0
_JOIN_S: Final = 2.0

RUNNING, STARTING, SILENT, FAILED = "running", "restarting", "not answering", "failed"


@dataclass(frozen=True, slots=True)
class KeptServer:
    """One server as its keeper sees it. `state`: running, restarting, not answering or failed."""

    name: str
    state: str
    restarts: int
    pid: int | None
    log: Path
    #: why it is not running; empty if it is
    reason: str = ""


@dataclass(slots=True)
class Care:
    """What is known of one server. `known`: how it was last seen running."""

    server: EmbeddedServer
    known: ServerRecord
    state: str = RUNNING
    restarts: int = 0
    reason: str = ""
    tries: int = 0
    started_at: float = 0.0
    asked_at: float = 0.0
    silent_since: float | None = None
    silent_asked: int = 0
    failure: FourfoldError | None = None


@dataclass(slots=True)
class Keeper:
    """Watches the servers of a data directory, each from a thread, while the context lasts.

    Servers that died with another process that owned them, and those that this one owns, belong to this one from then on;
    detached ones stay detached. One that somebody stopped in order is not started again: that is a failure.
    """

    servers: EmbeddedServers
    progress: Progress
    #: called where a server cannot be started again, from its thread
    given_up: Callable[[], object] = lambda: None
    clock: Callable[[], float] = time.monotonic
    _cares: list[Care] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def states(self) -> list[KeptServer]:
        """Each server now."""
        found = []
        for care in self._cares:
            process = care.known.process
            pid = process.pid if process and care.state in {RUNNING, SILENT} else None
            found.append(KeptServer(care.server.name, care.state, care.restarts, pid, care.server.log, care.reason))
        return found

    @property
    def well(self) -> bool:
        """Whether all run, as far as is known."""
        return all(care.state == RUNNING and care.known.process and care.known.process.alive() for care in self._cares)

    def check(self) -> None:
        """Raises `FourfoldError` where a server cannot be started again."""
        for care in self._cares:
            if care.failure is not None:
                raise care.failure

    def look(self, care: Care) -> None:
        """Looks at one server once, and does what is needed. Starts it again in this very call."""
        record = care.server.record()
        if record is None:
            self._lost(care)
        elif record.process is None:
            if record.owner is None:
                self._fail(care, _stopped(care.server))
            elif record.owner != ProcessIdentity.own():
                self._again(care, "its owner has ended")
        elif record.process == care.known.process:
            self._look_at_process(care)
        elif record.ports != care.known.ports:
            self._fail(
                care,
                _moved(care.server),
            )
        elif record.process.alive():
            # somebody else was faster
            care.known, care.started_at = record, self.clock()
        else:
            care.known = record

    def close(self) -> None:
        """Watches no longer. What is being started is stopped by whoever closes the servers."""
        self._stop.set()

    def _look_at_process(self, care: Care) -> None:
        process, now = care.known.process, self.clock()
        if process is None or not process.alive():
            self._again(care, "it has ended")
            return
        if care.tries and now - care.started_at > STEADY_S:
            care.tries = 0
        if now - care.asked_at < ASK_EVERY_S:
            return
        if care.server.healthy(ASK_BOUND_S):
            care.silent_since, care.silent_asked, care.state, care.reason = None, 0, RUNNING, ""
        elif process.alive():
            self._silent(care)
        care.asked_at = self.clock()

    def _silent(self, care: Care) -> None:
        now = self.clock()
        if care.silent_since is None:
            care.silent_since = now
        care.silent_asked += 1
        if care.silent_asked > 1:
            care.state, care.reason = SILENT, f"it runs and has not answered for {now - care.silent_since:.0f} s"
        if care.silent_asked >= HUNG_ASKED and now - care.silent_since >= HUNG_S:
            self._again(care, care.reason)

    def _again(self, care: Care, why: str) -> None:
        """Starts it again, once, after the pause that is due."""
        if not care.server.home.exists():
            self._fail(care, _removed(care.server))
            return
        if care.tries >= TRIES:
            self._fail(care, _dies_again(care))
            return
        # why the try before was in vain says more than that it does not run
        care.state, care.reason = STARTING, care.reason or why
        care.silent_since, care.silent_asked = None, 0
        if care.tries:
            self._stop.wait(min(FIRST_PAUSE_S * 2 ** (care.tries - 1), LONGEST_PAUSE_S))
        if self._stop.is_set():
            return
        care.tries += 1
        try:
            started = self._start(care, why)
        except ConfigurationError as error:
            self._fail(care, error)
        except FourfoldError as error:
            care.reason = str(error)
            if care.tries >= TRIES:
                self._fail(care, UnavailableError(f"{error}; it was tried {care.tries} times"))
        else:
            care.restarts += started
            care.state, care.reason, care.started_at = RUNNING, "", self.clock()
            care.asked_at = care.started_at

    def _start(self, care: Care, why: str) -> bool:
        """Whether it was started now, and answers."""
        server, before = care.server, care.known
        with self.servers.directory.locked(_LOCK_BOUND_S):
            if self._stop.is_set() or self._overtaken(care):
                return False
            self.progress(f"{server.label}: {why}, starting it again")
            if before.owner is not None:
                self.servers.take(server)
            server.launch_again(before)
            care.known = server.record() or before
        server.await_ready()
        return True

    def _overtaken(self, care: Care) -> bool:
        """Whether somebody else has stopped it, or started it again, meanwhile. The lock is held."""
        record = care.server.record()
        if record is None:
            return False
        if record.process is None:
            return record.owner is None
        return record.process != care.known.process and record.process.alive()

    def _lost(self, care: Care) -> None:
        """The record is gone: other commands find nothing. It is written again."""
        if not care.server.home.exists():
            self._look_at_process(care)
            return
        with self.servers.directory.locked(_LOCK_BOUND_S):
            if care.server.record() is None and not self._stop.is_set():
                care.server.put_on_record(care.known)

    def _fail(self, care: Care, error: FourfoldError) -> None:
        if self._stop.is_set():
            return
        care.state, care.reason, care.failure = FAILED, str(error), error
        self.given_up()

    def _keep(self, care: Care) -> None:
        while care.failure is None and not self._stop.wait(LOOK_EVERY_S):
            try:
                self.look(care)
            except (FourfoldError, OSError) as error:
                # the lock was held for long, or the state cannot be written now: the next look tries again
                care.reason = str(error)
            except Exception as error:  # noqa: BLE001 - not swallowed: it ends the command
                self._fail(care, FourfoldError(f"nobody keeps {care.server.label} running any more: {error!r}"))

    def adopt(self) -> list[Care]:
        """Begins to care for the servers that run now."""
        now = self.clock()
        for server in self.servers.used:
            record = server.record()
            if record is not None:
                self._cares.append(Care(server, record, started_at=now, asked_at=now))
        return self._cares

    def __enter__(self) -> Self:
        for care in self.adopt():
            thread = threading.Thread(target=self._keep, args=(care,), name=f"keeper-{care.server.name}", daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        for thread in self._threads:
            # one that waits for a start's answer ends when the servers are closed
            thread.join(_JOIN_S if self.well else 0)


def _stopped(server: EmbeddedServer) -> FourfoldError:
    return UnavailableError(
        f"{server.label} was stopped while it was in use (by `fourfold embedded stop`?): start again when it may run"
    )


def _moved(server: EmbeddedServer) -> FourfoldError:
    return UnavailableError(
        f"{server.label} was started again at another address, {server.address()}: start this command again, too"
    )


def _removed(server: EmbeddedServer) -> FourfoldError:
    return ConfigurationError(
        f"{server.label} has ended, and its data are gone: {server.home} was removed while it ran; the next start counts a "
        "new log"
    )


def _dies_again(care: Care) -> FourfoldError:
    return UnavailableError(
        f"{care.server.label} has ended {care.tries + 1} times, each time within {STEADY_S:g} s of its start: see "
        f"{care.server.log}"
    )
