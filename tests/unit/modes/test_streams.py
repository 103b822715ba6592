"""Closed, full and broken streams: no traceback, and the command's own exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from modes.encoding import plain

ROOT = Path(__file__).parents[3]
#: Ends with 3, as `verify` ends with its verdict.
PROGRAM = """
import sys
from modes.streams import with_streams
def command():
    for number in range(LINES):
        print("line →", number)
    print(sys.stdin.read(), end="", file=sys.stderr)
    raise SystemExit(3)
with_streams(command)
"""


def run(
    shell: str, lines: int = 3, pass_fds: Sequence[int] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.replace("LINES", str(lines))
    return subprocess.run(
        ["bash", "-c", shell, "bash", sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **environment},
        stdin=subprocess.DEVNULL,
        pass_fds=pass_fds,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_changes_nothing(closed: str) -> None:
    done = run(f'"$@" {closed}')
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout == ("" if ">&-" in closed.replace("2>&-", "") else "line → 0\nline → 1\nline → 2\n")


@pytest.fixture
def unread() -> Iterator[int]:
    """Where nobody reads on."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


def test_what_is_left_for_a_reader_that_has_gone_is_forgotten_and_the_exit_code_stays(unread: int) -> None:
    done = run('"$@" >&"$0"'.replace("$0", str(unread)), pass_fds=(unread,))
    assert (done.returncode, done.stderr) == (3, "")


@pytest.mark.parametrize("command", [["contract"], ["modes"], ["modes", "--json"], ["--help"], ["embedded", "status"]])
def test_no_command_shows_a_traceback_where_nobody_reads_on(unread: int, command: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "modes", *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=unread,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""


@pytest.mark.parametrize("environment", [{"COLUMNS": "0"}, {"COLUMNS": "1", "TERMINAL_WIDTH": "wide"}])
def test_a_width_that_is_none_hides_no_error(environment: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "modes", "nosuch"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "No such command 'nosuch'" in done.stderr


def test_a_full_disk_is_said_in_one_line() -> None:
    done = run('"$@" >/dev/full')
    assert done.returncode == 1
    assert done.stderr == "fourfold: standard output cannot be written: no space left on device\n"


def test_signs_that_an_encoding_lacks_are_written_plainly() -> None:
    assert run('"$@"', 1, PYTHONIOENCODING="ascii").stdout == "line > 0\n"
    with pytest.raises(UnicodeError):
        plain(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "why"))
