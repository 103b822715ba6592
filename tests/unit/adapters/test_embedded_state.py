"""Whose process it is, where it listens, and who may change that."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from adapters.embedded import ports
from adapters.embedded.directory import DataDirectory
from adapters.embedded.process import ProcessIdentity, living_in
from adapters.embedded.state import ServerRecord, StateFile
from adapters.embedded.waiting import wait_until
from core.errors import UnavailableError


@pytest.fixture
def child(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    script = "import sys; sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, cwd=tmp_path) as process:
        yield process
        process.kill()


def test_state_survives_and_keeps_other_servers(tmp_path: Path) -> None:
    kafka = ServerRecord((1, 2), ProcessIdentity(10, 1.5), ProcessIdentity(11, 2.5))
    redis = ServerRecord((3,))
    StateFile(tmp_path / "state.json").write("kafka", kafka)
    StateFile(tmp_path / "state.json").write("redis", redis)
    state = StateFile(tmp_path / "state.json")
    assert state.read("kafka") == kafka
    assert state.read("redis") == redis
    assert state.ports_of_others("redis") == {1, 2}
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"kafka": {"pid": 1}}'])
def test_a_damaged_state_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "state.json").write_text(content)
    assert StateFile(tmp_path / "state.json").read("kafka") is None


def test_a_recycled_pid_is_neither_trusted_nor_killed(child: subprocess.Popen[bytes]) -> None:
    real = ProcessIdentity.of(child.pid)
    recycled = ProcessIdentity(child.pid, real.created - 100)
    assert not recycled.alive()
    recycled.send(signal.SIGKILL)
    assert real.alive()


def test_a_zombie_is_not_alive(child: subprocess.Popen[bytes]) -> None:
    identity = ProcessIdentity.of(child.pid)
    identity.send(signal.SIGKILL)
    assert wait_until(lambda: not identity.alive(), 5)
    assert identity.memory_bytes() is None


def test_a_server_without_a_living_owner_is_orphaned() -> None:
    dead = ProcessIdentity(os.getpid(), 1.0)
    assert ServerRecord((1,), owner=dead).orphaned()
    assert not ServerRecord((1,), owner=ProcessIdentity.own()).orphaned()
    assert not ServerRecord((1,)).orphaned()


def test_a_process_whose_record_was_lost_is_found_by_its_directory(
    child: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    program = Path(f"/proc/{child.pid}/exe").readlink().name if sys.platform == "linux" else "python"
    assert wait_until(lambda: living_in(tmp_path, program) == [ProcessIdentity.of(child.pid)], 5)
    assert living_in(tmp_path, "java") == []
    assert living_in(tmp_path / "elsewhere", program) == []


def test_ports_are_free_and_stay_the_same() -> None:
    first = ports.free_ports(2, "a directory")
    assert ports.free_ports(2, "a directory") == first
    assert all(ports.FIRST_PORT <= port <= ports.LAST_PORT for port in first)
    assert ports.free_ports(1, "a directory", avoid=first)[0] not in first


def test_a_port_in_use_is_not_given_out() -> None:
    (port,) = ports.free_ports(1, "another directory")
    with socket.create_server((ports.HOST, port)):
        assert not ports.is_free(port)
        assert ports.accepts(port, 1)
        assert ports.free_ports(1, "another directory") != (port,)
        assert str(os.getpid()) in ports.user_of(port)
    assert ports.is_free(port)


def test_only_one_at_a_time_may_start_or_stop(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    directory.make_ready()
    with (
        directory.locked(),
        pytest.raises(UnavailableError, match=f"process {os.getpid()} has been starting"),
        DataDirectory(tmp_path).locked(bound_s=0.1),
    ):
        pass
    with DataDirectory(tmp_path).locked(bound_s=0.1):
        pass


def test_the_second_waits_for_the_first(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    order: list[str] = []
    directory.make_ready()

    def second() -> None:
        with DataDirectory(tmp_path).locked():
            order.append("second")

    thread = threading.Thread(target=second)
    with directory.locked():
        thread.start()
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say when a process started but by the clock")
@pytest.mark.parametrize("step_s", [-86_400, 5, 86_400])
def test_a_clock_that_is_set_makes_no_other_process(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, step_s: float
) -> None:
    known = ProcessIdentity.of(child.pid)
    real = psutil.Process.create_time
    # as psutil says it when the clock was set
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: real(process) + step_s)
    assert known.alive()
    assert ServerRecord((1,), owner=known).orphaned() is False
    assert known == ProcessIdentity.of(child.pid)
    assert len({known, ProcessIdentity.of(child.pid)}) == 1
    assert msgspec.json.decode(msgspec.json.encode(known), type=ProcessIdentity) == known
