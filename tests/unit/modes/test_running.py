"""What runs in a data directory: one `up` only, told to other commands through a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import ConfigurationError
from modes import running
from modes.supervisor import Child

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
