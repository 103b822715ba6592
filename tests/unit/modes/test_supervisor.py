"""The supervisor: what dies is started again, what cannot run is given up, all of it is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from modes import launcher
from modes.supervisor import CRASH_LOOP, FIRST_PAUSE_S, LONGEST_PAUSE_S, STEADY_S, Child, Supervisor
from tests.support.waiting import until

WAIT_S = 20


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def supervisor(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    """Its children are tiny: `python -c ARGUMENT` in place of `python -m modes ARGUMENTS`."""
    real = subprocess.Popen

    def small(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        assert command[:3] == [sys.executable, "-m", "modes"]
        return real([sys.executable, "-S", "-c", *command[3:]], **options)

    monkeypatch.setattr(launcher.subprocess, "Popen", small)
    made = Supervisor({"PATH": os.environ.get("PATH", "")}, clock)
    yield made
    for child in made.children:
        if child.process and child.process.poll() is None:
            child.process.kill()
            child.process.wait()


SLEEPS = "import time; print('here', flush=True); time.sleep(60)"
IGNORES = "import signal, time; signal.signal(15, signal.SIG_IGN); print('here', flush=True); time.sleep(60)"


def ended(supervisor: Supervisor, child: Child) -> None:
    """Waits until its process has ended, then lets the supervisor notice."""
    assert child.process is not None
    child.process.wait(WAIT_S)
    supervisor.tick()


def speaks(child: Child) -> None:
    until(lambda: child.last_words() == "here", within_s=WAIT_S, what="the child to speak")


@pytest.fixture
def start(supervisor: Supervisor, tmp_path: Path) -> Callable[..., Child]:
    def begin(code: str, **more: Any) -> Child:
        return supervisor.start("child", [code], tmp_path / "logs" / "child.log", **more)

    return begin


def test_a_child_runs_with_the_given_environment_in_a_session_of_its_own(start: Callable[..., Child]) -> None:
    child = start(
        "import os, time; print(os.environ['FOURFOLD_OWNER'], os.getsid(0) == os.getpid(), flush=True); time.sleep(60)"
    )
    words = until(child.last_words, within_s=WAIT_S, what="the child to speak")
    assert words == f"{os.getpid()} True"
    assert child.state == "running"
    assert child.pid == child.process.pid  # type: ignore[union-attr]


def test_a_child_that_dies_is_started_again_after_a_pause(
    supervisor: Supervisor, clock: Clock, start: Callable[..., Child]
) -> None:
    child = start("raise SystemExit(1)")
    ended(supervisor, child)
    assert (child.state, child.last_code, child.pid) == ("waiting", 1, None)
    clock.now += FIRST_PAUSE_S - 0.01
    supervisor.tick()
    assert child.state == "waiting"
    clock.now += 0.02
    supervisor.tick()
    assert (child.state, child.restarts) == ("running", 1)


@pytest.mark.parametrize("code", [0, 1, 75, 130])
def test_any_end_of_a_lasting_child_is_a_death(supervisor: Supervisor, start: Callable[..., Child], code: int) -> None:
    child = start(f"raise SystemExit({code})")
    ended(supervisor, child)
    assert child.state == "waiting"


def test_a_child_that_is_killed_is_started_again(supervisor: Supervisor, start: Callable[..., Child]) -> None:
    child = start(SLEEPS)
    speaks(child)
    os.kill(child.pid, signal.SIGKILL)  # type: ignore[arg-type]
    ended(supervisor, child)
    assert (child.state, child.last_code) == ("waiting", -signal.SIGKILL)


def test_pauses_grow_up_to_a_bound(supervisor: Supervisor, clock: Clock, start: Callable[..., Child]) -> None:
    child = start("raise SystemExit(1)")
    pauses = []
    for _ in range(8):
        ended(supervisor, child)
        pauses.append(child.retry_at - clock.now)
        clock.now = child.retry_at
        supervisor.tick()
    assert pauses[0] == FIRST_PAUSE_S
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_S
    assert child.restarts == 8


def test_after_a_long_life_a_death_counts_as_the_first(
    supervisor: Supervisor, clock: Clock, start: Callable[..., Child]
) -> None:
    child = start("raise SystemExit(1)")
    for _ in range(3):
        ended(supervisor, child)
        clock.now = child.retry_at
        supervisor.tick()
    clock.now += STEADY_S + 1
    ended(supervisor, child)
    assert child.retry_at - clock.now == FIRST_PAUSE_S


def test_wrong_configuration_is_given_up_with_its_last_words(
    supervisor: Supervisor, clock: Clock, start: Callable[..., Child]
) -> None:
    child = start("print('first'); print('topic clicks is wrong\\n\\n'); raise SystemExit(2)")
    ended(supervisor, child)
    assert child.state == "failed"
    assert child.last_words() == "topic clicks is wrong"
    clock.now += 1000
    supervisor.tick()
    assert (child.state, child.restarts) == ("failed", 0)
    supervisor.stop()
    assert child.state == "failed"


def test_a_child_that_ends_by_nature_is_done(supervisor: Supervisor, clock: Clock, start: Callable[..., Child]) -> None:
    child = start("pass", ends=True)
    ended(supervisor, child)
    assert child.state == "done"
    clock.now += 1000
    supervisor.tick()
    assert (child.state, child.restarts) == ("done", 0)


def test_a_child_that_should_end_by_nature_and_fails_is_started_again(
    supervisor: Supervisor, start: Callable[..., Child]
) -> None:
    child = start("raise SystemExit(1)", ends=True)
    ended(supervisor, child)
    assert child.state == "waiting"


def test_one_that_dies_again_and_again_is_told_from_one_that_died(
    supervisor: Supervisor, clock: Clock, start: Callable[..., Child]
) -> None:
    child = start("raise SystemExit(1)")
    for _ in range(CRASH_LOOP):
        assert not child.crashing
        ended(supervisor, child)
        clock.now = child.retry_at
        supervisor.tick()
    assert child.crashing
    child.arguments = [SLEEPS]
    ended(supervisor, child)
    clock.now = child.retry_at
    supervisor.tick()
    speaks(child)
    clock.now += STEADY_S + 1
    supervisor.tick()
    assert (child.state, child.crashing) == ("running", False)


def test_one_that_cannot_even_be_started_is_tried_again(
    supervisor: Supervisor, clock: Clock, start: Callable[..., Child], tmp_path: Path
) -> None:
    # as on a full disk: its log cannot be opened
    (tmp_path / "logs" / "child.log").mkdir(parents=True)
    child = start(SLEEPS)
    assert (child.state, child.pid) == ("waiting", None)
    (tmp_path / "logs" / "child.log").rmdir()
    clock.now = child.retry_at
    supervisor.tick()
    assert child.state == "running"


def test_last_words_are_those_of_its_last_life_and_to_people(
    supervisor: Supervisor, clock: Clock, start: Callable[..., Child]
) -> None:
    child = start("print('fourfold: the port is taken', flush=True); print('a thread says more'); raise SystemExit(1)")
    ended(supervisor, child)
    assert child.last_words() == "the port is taken"
    child.arguments = ["print('another line'); raise SystemExit(1)"]
    clock.now = child.retry_at
    supervisor.tick()
    ended(supervisor, child)
    assert child.last_words() == "another line"


def test_stopping_ends_children_that_obey(supervisor: Supervisor, start: Callable[..., Child]) -> None:
    children = [start(SLEEPS), start(SLEEPS)]
    for child in children:
        speaks(child)
    supervisor.stop()
    assert [child.last_code for child in children] == [-signal.SIGTERM] * 2
    assert [child.state for child in children] == ["done"] * 2


def test_stopping_kills_children_that_do_not_obey(supervisor: Supervisor, start: Callable[..., Child]) -> None:
    child = start(IGNORES)
    speaks(child)
    pid = child.pid
    supervisor.stop(bound_s=0.2)
    assert child.last_code == -signal.SIGKILL
    assert not psutil.pid_exists(pid)  # type: ignore[arg-type]


def test_a_stopped_child_is_not_started_again(
    supervisor: Supervisor, clock: Clock, start: Callable[..., Child]
) -> None:
    waiting = start("raise SystemExit(1)")
    ended(supervisor, waiting)
    supervisor.stop()
    clock.now += 1000
    supervisor.tick()
    assert (waiting.state, waiting.restarts) == ("done", 0)


def test_stopping_twice_is_fine(supervisor: Supervisor, start: Callable[..., Child]) -> None:
    start(SLEEPS)
    supervisor.stop()
    supervisor.stop()


def test_output_of_all_lives_is_appended_to_one_log(
    supervisor: Supervisor, clock: Clock, start: Callable[..., Child]
) -> None:
    child = start("import sys; print('out'); print('err', file=sys.stderr); raise SystemExit(1)")
    for _ in range(2):
        ended(supervisor, child)
        clock.now = child.retry_at
        supervisor.tick()
    ended(supervisor, child)
    assert sorted(child.log_file.read_text().split()) == ["err"] * 3 + ["out"] * 3


def test_last_words_of_a_log_that_is_no_text_or_is_not_there(tmp_path: Path) -> None:
    child = Child("child", [], tmp_path / "log")
    assert child.last_words() == ""
    child.log_file.write_bytes(b"x" * 10_000 + b"\n\xff\xfe end \n \n")
    assert child.last_words() == "\ufffd\ufffd end"
