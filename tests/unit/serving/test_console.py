"""What a console takes its stream for: a terminal that can be written over, one that cannot, or a pipe."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress
from typing import TextIO

import pytest
from rich.text import Text

from serving.console import LEAST_WIDTH, WHOLE, StreamConsole, moves
from serving.progress import LINE_EVERY_S, progress
from serving.screen import Screen

XTERM = {"TERM": "xterm-256color"}
_END = "\x1b[end"


class Terminal:
    """A pseudo-terminal of any size, without a program."""

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        self.stream: TextIO = os.fdopen(slave, "w")

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.stream.fileno(), termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def written(self) -> str:
        """All that has been written since the last look."""
        self.stream.write(_END)
        self.stream.flush()
        seen = ""
        while not seen.endswith(_END):
            seen += os.read(self.master, 1 << 16).decode()
        return seen.removesuffix(_END)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    made.resize(80, 24)
    yield made
    made.stream.close()
    os.close(made.master)


@pytest.mark.parametrize(
    ("environment", "can"),
    [
        (XTERM, True),
        ({}, False),
        ({"TERM": ""}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": "unknown"}, False),
        ({**XTERM, "CI": "true"}, False),
        ({**XTERM, "CI": "1"}, False),
        ({**XTERM, "CI": "false"}, True),
        ({**XTERM, "CI": ""}, True),
        ({**XTERM, "CI": "true", "TTY_INTERACTIVE": "1"}, True),
        ({**XTERM, "TTY_INTERACTIVE": "0"}, False),
        ({**XTERM, "NO_COLOR": "1"}, True),
    ],
)
def test_only_a_terminal_that_can_do_it_is_written_over(
    terminal: Terminal, environment: dict[str, str], can: bool
) -> None:
    assert moves(terminal.stream, environment) is can
    assert StreamConsole(terminal.stream, environment).is_interactive is can
    assert not moves(io.StringIO(), environment)


@pytest.mark.parametrize(
    ("real", "said", "width"),
    [
        ((80, 24), {}, 80),
        ((200, 24), {}, 200),
        ((0, 0), {}, 80),
        ((0, 0), {"COLUMNS": "132"}, 132),
        ((80, 24), {"COLUMNS": "40"}, 40),
        # an older value of a shell: lines of that width would be broken
        ((80, 24), {"COLUMNS": "200"}, 80),
        ((80, 24), {"COLUMNS": "0"}, 80),
        ((80, 24), {"COLUMNS": "wide"}, 80),
        ((80, 24), {"COLUMNS": "-5"}, 80),
        ((80, 24), {"COLUMNS": "1"}, LEAST_WIDTH),
        ((3, 3), {}, LEAST_WIDTH),
    ],
)
def test_the_width_is_the_terminals(
    terminal: Terminal, real: tuple[int, int], said: dict[str, str], width: int
) -> None:
    terminal.resize(*real)
    assert StreamConsole(terminal.stream, XTERM | said).width == width


@pytest.mark.parametrize("environment", [{}, {"COLUMNS": "40"}, {"COLUMNS": "0"}, {"FORCE_COLOR": "1"}, {"CI": "true"}])
def test_a_pipe_gets_lines_as_long_as_they_are(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    stream = io.StringIO()
    console = StreamConsole(stream, environment)
    assert console.width == WHOLE
    console.print(Text("word " * 1_000))
    assert stream.getvalue().count("\n") == 1


def test_a_terminal_that_is_resized_gets_its_view_drawn_anew(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", XTERM["TERM"])
    seen: list[tuple[int, int]] = []
    with Screen(StreamConsole(terminal.stream, XTERM)) as screen:

        def show() -> str:
            screen.show(lambda width, height: seen.append((width, height)) or Text("x" * width))  # type: ignore[func-returns-value]
            return terminal.written()

        assert "\x1b[2J" not in show()
        assert "\x1b[2J" not in show()
        terminal.resize(40, 10)
        assert "\x1b[2J" in show()
        assert "\x1b[2J" not in show()
    assert seen == [(80, 24), (80, 24), (40, 10), (40, 10)]


def test_progress_that_cannot_move_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, now = io.StringIO(), 0.0
    monkeypatch.setattr("sys.stderr", stream)
    with progress("first", lambda: now) as tell:
        for second in range(2 * int(LINE_EVERY_S) + 1):
            now = float(second)
            tell(f"at {second} [/]\x1b[0m")
    assert stream.getvalue() == "at 5 [/]·[0m\nat 10 [/]·[0m\n"


ECHOED = """
import os, sys, termios
from serving.console import out
from serving.screen import Screen
def echoed():
    return bool(termios.tcgetattr(0)[3] & termios.ECHOCTL)
before = echoed()
screen = Screen(out())
during = echoed()
screen.close()
sys.exit((before, during, echoed()) != (True, False, True))
"""


def test_keys_are_not_echoed_into_a_live_view_and_the_terminal_is_as_before_after_it() -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-c", ECHOED], {**os.environ, **XTERM})
    # Linux ends what is read with an error when the other side is closed
    with suppress(OSError):
        while os.read(terminal, 4096):
            pass
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
