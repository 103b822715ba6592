"""Embedded servers are kept running: what dies or hangs is started again as it was, or it is said why not.

A real Redis, which starts in no time; Kafka shares every line of it, and `tests/e2e/test_up.py` kills both.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

import adapters
from adapters.embedded import EmbeddedServers, keeper
from adapters.embedded.keeper import FAILED, RUNNING, SILENT, STARTING, TRIES, Care, Keeper
from adapters.embedded.process import living_in
from core.errors import ConfigurationError, UnavailableError
from modes.settings import Settings
from modes.wiring.servers import with_servers
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.own_servers]

BOUND_S = 30.0
ROOT = Path(adapters.__file__).parents[1]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[EmbeddedServers]:
    with EmbeddedServers(tmp_path / "data", with_kafka=False) as servers:
        yield servers
    assert living_in(tmp_path / "data" / "redis", "redis") == []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kept(servers: EmbeddedServers, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> tuple[Keeper, Care]:
    """A keeper that looks when it is told to, and does not pause."""
    monkeypatch.setattr(keeper, "FIRST_PAUSE_S", 0.0)
    made = Keeper(servers, lambda _: None, clock=clock)
    (care,) = made.adopt()
    return made, care


def pid_of(servers: EmbeddedServers) -> int:
    process = servers.redis.process()
    assert process is not None
    return process.pid


def client_of(servers: EmbeddedServers) -> redis.Redis:
    address = servers.redis.address()
    assert address is not None
    return redis.Redis.from_url(address)


def test_one_that_dies_is_started_again_by_itself_at_the_same_address_with_its_data(servers: EmbeddedServers) -> None:
    said: list[str] = []
    with Keeper(servers, said.append) as made:
        before, address = pid_of(servers), servers.redis.address()
        client_of(servers).set("key", "value")
        servers.redis.kill()
        until(lambda: made.well and made.states()[0].restarts == 1, within_s=BOUND_S, what="it to run again")
        assert servers.redis.address() == address
        assert client_of(servers).get("key") == b"value"
        (state,) = made.states()
        assert (state.name, state.state, state.reason) == ("redis", RUNNING, "")
        assert state.pid == pid_of(servers) != before
        made.check()
    assert said == ["Redis: it has ended, starting it again"]


def test_one_that_is_silent_is_said_to_be_and_after_a_while_killed_and_started_again(
    servers: EmbeddedServers, kept: tuple[Keeper, Care], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "ASK_BOUND_S", 0.1)
    made, care = kept
    frozen = servers.redis.process()
    assert frozen is not None
    frozen.send(signal.SIGSTOP)
    states = []
    for _ in range(20):
        clock.now += keeper.ASK_EVERY_S
        made.look(care)
        states.append(care.state)
        if not frozen.alive():
            break
    assert states[1] == SILENT
    assert clock.now >= keeper.HUNG_S
    assert states[-1] == RUNNING
    assert care.restarts == 1
    assert client_of(servers).ping()


def test_one_that_answers_again_in_time_is_left_alone(
    servers: EmbeddedServers, kept: tuple[Keeper, Care], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "ASK_BOUND_S", 0.1)
    made, care = kept
    process = servers.redis.process()
    assert process is not None
    process.send(signal.SIGSTOP)
    for _ in range(3):
        clock.now += keeper.ASK_EVERY_S
        made.look(care)
    assert (care.state, "has not answered" in care.reason) == (SILENT, True)
    process.send(signal.SIGCONT)
    clock.now += keeper.HUNG_S
    made.look(care)
    assert (care.state, care.reason, care.restarts) == (RUNNING, "", 0)


def test_a_port_that_was_taken_meanwhile_is_said_after_some_tries(
    servers: EmbeddedServers, kept: tuple[Keeper, Care]
) -> None:
    made, care = kept
    record = servers.redis.record()
    assert record is not None
    servers.redis.kill()
    given_up: list[bool] = []
    made.given_up = lambda: given_up.append(True)
    with socket.create_server(("127.0.0.1", record.ports[0])):
        for _ in range(TRIES - 1):
            made.look(care)
            made.check()
            assert (care.state, given_up) == (STARTING, [])
            assert "cannot be started again at its address" in care.reason
        made.look(care)
        with pytest.raises(
            UnavailableError, match=rf"cannot be started again at its address: .*pid {os.getpid()}.*port"
        ):
            made.check()
    assert (care.state, given_up) == (FAILED, [True])


def test_a_port_that_is_free_again_is_taken(servers: EmbeddedServers, kept: tuple[Keeper, Care]) -> None:
    made, care = kept
    record = servers.redis.record()
    assert record is not None
    servers.redis.kill()
    with socket.create_server(("127.0.0.1", record.ports[0])):
        made.look(care)
    made.look(care)
    assert (care.state, care.restarts) == (RUNNING, 1)
    assert client_of(servers).ping()


def test_data_that_cannot_be_read_are_said(servers: EmbeddedServers, kept: tuple[Keeper, Care]) -> None:
    made, care = kept
    servers.redis.kill()
    newest = max(servers.redis.home.rglob("*.aof"), key=lambda file: (file.name.endswith("incr.aof"), file.name))
    newest.unlink()
    newest.mkdir()
    for _ in range(TRIES):
        made.check()
        made.look(care)
    with pytest.raises(
        UnavailableError, match=r"append-only file .* is damaged beyond its end .*; it was tried 8 times"
    ):
        made.check()


def test_a_torn_append_only_file_is_mended_on_the_way(servers: EmbeddedServers, kept: tuple[Keeper, Care]) -> None:
    made, care = kept
    client_of(servers).set("whole", "1")
    servers.redis.kill()
    newest = max(servers.redis.home.rglob("*.aof"), key=lambda file: (file.name.endswith("incr.aof"), file.name))
    with newest.open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$4\r\ntorn\r\n$100\r\nhalf of")
    made.look(care)
    assert care.restarts == 1
    assert client_of(servers).get("whole") == b"1"
    assert client_of(servers).exists("torn") == 0


def test_one_that_dies_again_and_again_is_given_up_and_a_long_life_forgives(
    servers: EmbeddedServers, kept: tuple[Keeper, Care], clock: Clock
) -> None:
    made, care = kept
    for _ in range(TRIES - 1):
        servers.redis.kill()
        made.look(care)
    clock.now += keeper.STEADY_S + 1
    made.look(care)
    for _ in range(TRIES):
        servers.redis.kill()
        made.look(care)
        made.check()
    servers.redis.kill()
    made.look(care)
    with pytest.raises(UnavailableError, match=f"Redis has ended {TRIES + 1} times, each time within 30 s"):
        made.check()


def test_one_that_somebody_stops_is_not_started_again(servers: EmbeddedServers, kept: tuple[Keeper, Care]) -> None:
    made, care = kept
    assert EmbeddedServers(servers.directory.root).stop() == ["Redis"]
    made.look(care)
    with pytest.raises(UnavailableError, match="Redis was stopped while it was in use"):
        made.check()
    assert servers.redis.process() is None


def test_one_that_somebody_else_has_started_again_is_kept_on(
    servers: EmbeddedServers, kept: tuple[Keeper, Care]
) -> None:
    made, care = kept
    servers.redis.kill()
    servers.redis.start()
    made.look(care)
    assert (care.state, care.restarts) == (RUNNING, 0)
    assert care.known == servers.redis.record()
    made.check()


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_state_file_that_is_lost_or_damaged_is_written_again(
    servers: EmbeddedServers, kept: tuple[Keeper, Care], content: str | None
) -> None:
    made, care = kept
    before, address = pid_of(servers), servers.redis.address()
    state = servers.directory.root / "state.json"
    if content is None:
        state.unlink()
    else:
        state.write_text(content)
    assert servers.redis.address() is None
    made.look(care)
    assert (pid_of(servers), servers.redis.address()) == (before, address)


def test_data_that_somebody_removed_are_said_and_not_begun_anew(
    servers: EmbeddedServers, kept: tuple[Keeper, Care]
) -> None:
    made, care = kept
    shutil.rmtree(servers.directory.root)
    made.look(care)
    made.check()
    # those who lost their directory are found all the same
    (process,) = living_in(servers.redis.home, "redis")
    process.send(signal.SIGKILL)
    until(lambda: not process.alive(), within_s=BOUND_S, what="it to end")
    made.look(care)
    with pytest.raises(ConfigurationError, match="its data are gone"):
        made.check()
    assert not servers.redis.home.exists()


OWNER = """
import sys
from pathlib import Path
from adapters.embedded import EmbeddedServers
with EmbeddedServers(Path(sys.argv[1]), with_kafka=False):
    print("runs", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("ends", ["in order", "killed"])
def test_one_whose_owner_ends_is_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str) -> None:
    monkeypatch.setattr(keeper, "FIRST_PAUSE_S", 0.0)
    directory = tmp_path / "data"
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(directory)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "runs\n"
    servers = EmbeddedServers(directory, with_kafka=False)
    address = servers.start().redis
    with Keeper(servers, lambda _: None) as made:
        if ends == "killed":
            owner.kill()
        owner.communicate("\n" if ends == "in order" else None)
        until(lambda: made.well and made.states()[0].restarts == 1, within_s=BOUND_S, what="it to be taken over")
        assert servers.redis.address() == address
        made.check()
    servers.close()
    assert living_in(servers.redis.home, "redis") == []


def test_a_detached_one_stays_detached(tmp_path: Path) -> None:
    servers = EmbeddedServers(tmp_path / "data", with_kafka=False)
    servers.start(detached=True)
    try:
        user = EmbeddedServers(tmp_path / "data", with_kafka=False)
        user.start()
        with Keeper(user, lambda _: None) as made:
            servers.redis.kill()
            until(lambda: made.well and made.states()[0].restarts == 1, within_s=BOUND_S, what="it to run again")
        user.close()
        assert servers.redis.healthy()
        record = servers.redis.record()
        assert record is not None
        assert record.owner is None
    finally:
        assert servers.stop() == ["Redis"]


def test_a_command_that_only_waits_is_told_when_a_server_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `day` and the drills do, which ask nobody how the servers are."""
    monkeypatch.setattr(keeper, "FIRST_PAUSE_S", 0.0)
    # as a shell does for what it starts in the background
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings = Settings(kafka="127.0.0.1:1", data_dir=tmp_path / "data", _env_file=None)  # type: ignore[call-arg]

    def day() -> None:
        with with_servers(settings) as served:
            assert served.redis.startswith("redis://127.0.0.1:")
            EmbeddedServers(tmp_path / "data").stop()
            threading.Event().wait(BOUND_S)
            raise AssertionError("it waits for ever")

    began = time.monotonic()
    with pytest.raises(UnavailableError, match="Redis was stopped while it was in use"):
        day()
    assert time.monotonic() - began < BOUND_S


def test_what_is_being_started_while_everything_ends_is_stopped(servers: EmbeddedServers) -> None:
    with Keeper(servers, lambda _: None) as made:
        servers.redis.kill()
        until(lambda: made.states()[0].state == STARTING or made.well, within_s=BOUND_S, what="a start")
    servers.close()
    # and nothing comes after that
    assert living_in(servers.redis.home, "redis") == []


def test_a_stop_finds_what_is_not_on_record_or_has_lost_its_directory(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    link = tmp_path / "link"
    link.symlink_to(real)
    servers = EmbeddedServers(link / "data", with_kafka=False)
    servers.start(detached=True)
    (link / "data" / "state.json").unlink()
    assert servers.stop() == ["Redis"]
    servers.start(detached=True)
    shutil.rmtree(link / "data")
    assert servers.stop() == ["Redis"]
    assert servers.stop() == []


def test_an_address_that_is_its_own_leaves_no_server_out(tmp_path: Path) -> None:
    servers = EmbeddedServers(tmp_path / "data", with_kafka=False)
    assert not servers.redis.serves("redis://127.0.0.1:6379/0")
    address = servers.start(detached=True).redis
    try:
        port = address.rsplit(":", 1)[1].split("/")[0]
        for same in (address, f"redis://localhost:{port}", f"redis://127.0.0.1:{port}/3"):
            assert servers.redis.serves(same)
        for other in (
            "",
            "redis://127.0.0.1:1/0",
            f"redis://elsewhere:{port}/0",
            f"redis://:secret@127.0.0.1:{port}/0",
        ):
            assert not servers.redis.serves(other)
    finally:
        servers.stop()
    # stopped: it will be there again; unless somebody else is
    assert servers.redis.serves(address)
    with socket.create_server(("127.0.0.1", int(port))):
        assert not servers.redis.serves(address)
