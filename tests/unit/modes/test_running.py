"""What runs in a data directory: one `up` only, told to other commands through a file."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.embedded.keeper import KeptServer
from core.errors import ConfigurationError
from modes import running
from modes.supervisor import CRASH_LOOP, Child

ROOT = Path(running.__file__).parent.parent
HOLD = """
import sys
from pathlib import Path
from modes.running import only_one
with only_one(Path(sys.argv[1])):
    print("holds", flush=True)
    sys.stdin.read()
"""


def holder(data_dir: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(data_dir)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "holds\n"
    return process


def test_a_second_up_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    first = holder(tmp_path)
    try:
        with (
            pytest.raises(ConfigurationError, match=rf"runs in .* already \(process {first.pid}\): stop it"),
            running.only_one(tmp_path),
        ):
            raise AssertionError("two at once")
    finally:
        first.communicate()
    with running.only_one(tmp_path):
        pass


def test_one_that_was_killed_leaves_the_directory_free(tmp_path: Path) -> None:
    first = holder(tmp_path)
    first.kill()
    first.communicate()
    with running.only_one(tmp_path):
        assert (tmp_path / "up.lock").read_text() == str(os.getpid())


def test_directories_do_not_get_in_each_others_way(tmp_path: Path) -> None:
    with running.only_one(tmp_path / "a"), running.only_one(tmp_path / "b" / "c"):
        pass


def test_a_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(ConfigurationError, match=r"cannot be written \(Not a directory\): .* FOURFOLD_DATA_DIR"),
        running.only_one(tmp_path / "file" / "data"),
    ):
        pass


def test_what_runs_is_told_while_it_runs(tmp_path: Path) -> None:
    assert running.read(tmp_path) is None
    with running.only_one(tmp_path):
        running.write(tmp_path, "streaming", [Child("produce", [], tmp_path / "log", state="waiting", restarts=2)])
        told = running.read(tmp_path)
        assert told is not None
        assert (told["mode"], told["pid"]) == ("streaming", os.getpid())
        (role,) = told["roles"]
        assert (role["name"], role["state"], role["restarts"], role["pid"]) == ("produce", "waiting", 2, None)
        assert [path.name for path in tmp_path.iterdir() if path.suffix == ".new"] == []
    assert running.read(tmp_path) is None


def test_what_a_killed_one_told_is_not_believed(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-S", "-c", ""])
    gone.wait()
    (tmp_path / "up.json").write_text(json.dumps({"mode": "streaming", "pid": gone.pid, "roles": []}))
    assert running.read(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "\x00", '{"mode": "streaming"}'])
def test_a_torn_file_is_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "up.json").write_text(text)
    assert running.read(tmp_path) is None


def test_servers_and_what_dies_again_and_again_are_told(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("fourfold: no room\n")
    dying = Child("batch", [], log, state="waiting", short_lives=CRASH_LOOP)
    redis = KeptServer("redis", "restarting", 1, None, log, "it has ended")
    with running.only_one(tmp_path):
        running.write(tmp_path, "lambda", [Child("produce", [], log), dying], servers=[redis])
        told = running.read(tmp_path)
        assert told is not None
        assert [role["reason"] for role in told["roles"]] == ["", "died 5 times in a row: no room"]
        assert [(s["name"], s["state"], s["restarts"], s["reason"]) for s in told["servers"]] == [
            ("redis", "restarting", 1, "it has ended")
        ]


def test_a_directory_that_was_removed_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="was removed while"):
        running.write(tmp_path / "gone", "lambda", [])


def test_a_full_disk_is_no_reason_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    running.write(tmp_path, "lambda", [])
