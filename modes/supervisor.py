"""The supervisor: starts roles as processes, starts those again that died, and stops them all."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from core.secrets import redacted
from modes.launcher import Commands, Launch, Launcher, Process

log = structlog.get_logger(__name__)

#: How often it is to look.
TICK_S: Final = 0.25
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 10.0
#: After so long a life a death counts as the first one again.
STEADY_S: Final = 30.0
STOP_BOUND_S: Final = 3.0
#: Wrong configuration: starting again would not help.
GIVE_UP_CODE: Final = 2
#: One that died so often, each time before it was steady, will go on dying until somebody looks.
CRASH_LOOP: Final = 5
#: How the command line begins what it says to people.
_SAYS: Final = "fourfold: "


@dataclass(slots=True)
class Child:
    """One role process. `state`: running, waiting (to be started again), done or failed."""

    name: str
    arguments: Sequence[str]
    #: None: it writes where the supervisor's process writes
    log_file: Path | None
    #: added to the supervisor's
    environment: Mapping[str, str] = field(default_factory=dict)
    #: whether an exit with code 0 is its natural end
    ends: bool = False
    process: Process | None = None
    state: str = "new"
    restarts: int = 0
    #: deaths in a row, each after a short life
    short_lives: int = 0
    last_code: int | None = None
    started_at: float = 0.0
    retry_at: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    #: size of the log when this life began
    log_from: int = 0

    @property
    def crashing(self) -> bool:
        """Whether it dies again and again."""
        return self.short_lives >= CRASH_LOOP

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self.process.pid if self.process and self.state == "running" else None

    def last_words(self) -> str:
        """What its last life said to people in the end; its log's last line where it said nothing."""
        if self.log_file is None:
            return ""
        try:
            with self.log_file.open("rb") as file:
                file.seek(max(self.log_from, self.log_file.stat().st_size - 4096))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        said = [line.removeprefix(_SAYS) for line in lines if line.startswith(_SAYS)]
        return redacted(next(reversed(said or lines), ""))


@dataclass(slots=True)
class Supervisor:
    """Keeps children running. Call `tick` a few times a second, from the main thread.

    Children live in sessions of their own (a terminal's Ctrl-C is the owner's business) and get
    SIGTERM from the kernel if the owner vanishes (Linux).
    """

    environment: Mapping[str, str]
    clock: Callable[[], float] = time.monotonic
    launcher: Launcher = field(default_factory=Commands)
    children: list[Child] = field(default_factory=list)

    def start(
        self,
        name: str,
        arguments: Sequence[str],
        log_file: Path | None,
        *,
        ends: bool = False,
        more: Mapping[str, str] | None = None,
    ) -> Child:
        """Starts a role: `fourfold ARGUMENTS` with `more` in its environment, its output appended to `log_file`."""
        child = Child(name, arguments, log_file, more or {}, ends)
        self.children.append(child)
        self._launch(child)
        return child

    def tick(self) -> None:
        """Notices deaths and starts again what is due."""
        now = self.clock()
        for child in self.children:
            if child.state == "running":
                assert child.process is not None
                code = child.process.poll()
                if code is not None:
                    self._ended(child, code, now)
                elif child.short_lives and now - child.started_at > STEADY_S:
                    child.short_lives = 0
            elif child.state == "waiting" and now >= child.retry_at:
                child.restarts += 1
                self._launch(child)

    def dismiss(self, child: Child, bound_s: float = STOP_BOUND_S) -> None:
        """Stops one child as `stop` does, and forgets it."""
        self._stop([child], bound_s)
        self.children.remove(child)

    def stop(self, bound_s: float = STOP_BOUND_S) -> None:
        """SIGTERM to all, SIGKILL after `bound_s` seconds to those that still run."""
        self._stop(self.children, bound_s)

    def _stop(self, children: Sequence[Child], bound_s: float) -> None:
        running = [c for c in children if c.process and c.process.poll() is None]
        for child in running:
            child.state = "done"
            _signal(child, signal.SIGTERM)
        end = self.clock() + bound_s
        for child in running:
            assert child.process is not None
            try:
                child.process.wait(max(0.05, end - self.clock()))
            except subprocess.TimeoutExpired:
                _signal(child, signal.SIGKILL)
                child.process.wait()
            child.last_code = child.process.returncode
        for child in children:
            if child.state != "failed":
                child.state = "done"

    def _launch(self, child: Child) -> None:
        try:
            self._spawn(child)
        except OSError as error:
            # no memory, no process, no space for its log: it passes, or the next try says the same
            log.warning("a role cannot be started, trying again", role=child.name, reason=str(error))
            self._ended(child, -1, self.clock())

    def _spawn(self, child: Child) -> None:
        child.started_at = self.clock()
        if child.log_file is not None:
            child.log_file.parent.mkdir(parents=True, exist_ok=True)
            child.log_from = child.log_file.stat().st_size if child.log_file.exists() else 0
        values = {**self.environment, **child.environment, "FOURFOLD_OWNER": str(os.getpid())}
        child.process = self.launcher.start(Launch(["modes", *child.arguments], values, child.log_file))
        child.state = "running"

    def _ended(self, child: Child, code: int, now: float) -> None:
        child.last_code = code
        if code == 0 and child.ends:
            child.state = "done"
        elif code == GIVE_UP_CODE:
            child.state = "failed"
        else:
            if now - child.started_at > STEADY_S:
                child.pause_s, child.short_lives = FIRST_PAUSE_S, 0
            child.short_lives += 1
            child.state = "waiting"
            child.retry_at = now + child.pause_s
            child.pause_s = min(child.pause_s * 2, LONGEST_PAUSE_S)


def _signal(child: Child, number: int) -> None:
    assert child.process is not None
    with contextlib.suppress(ProcessLookupError):
        os.kill(child.process.pid, number)
