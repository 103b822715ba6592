"""`fourfold up` whole: embedded servers, producers, workers, verdict."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import psutil
import pytest

from adapters.embedded.servers import EmbeddedServers
from modes.catalogue import MODES, mode_named
from modes.settings import Settings
from tests.support.busy import allowed
from tests.support.product import command
from tests.support.waiting import until

pytestmark = pytest.mark.e2e


def fourfold(directory: Path, *arguments: str, timeout_s: float = 180, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "modes", *arguments],
        cwd=directory,
        env=_environment() | more,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def _environment() -> dict[str, str]:
    # other tests run beside it: two that find the usual port free would both take it
    return {**os.environ, "FOURFOLD_EPOCH_SECONDS": "5", "FOURFOLD_API_PORT": "0"}


def _left_running(directory: Path) -> list[str]:
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = [*(process.info["cmdline"] or []), process.info["cwd"] or ""]
        # this one may be there, too
        if process.pid != os.getpid() and any(str(directory) in word for word in words):
            found.append(" ".join(words)[:120])
    return found


def _clicks(output: str) -> list[int]:
    return [int(number.replace(",", "")) for number in re.findall(r"clicks ([\d,]+)", output)]


@contextmanager
def _up(directory: Path, *arguments: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """`fourfold up` in its own process group, with its output in a file."""
    with (directory / "output").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "modes", "up", *arguments],
            cwd=directory,
            env=_environment() | more,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(20)


def _output(directory: Path) -> str:
    return (directory / "output").read_text()


def _counted(directory: Path, more_than: int) -> None:
    until(
        lambda: max(_clicks(_output(directory)), default=0) > more_than,
        within_s=60,
        what=f"more than {more_than} clicks",
    )


def test_ctrl_c_stops_everything_within_five_seconds_and_the_next_run_is_exact_though_servers_die(tmp_path):
    with _up(tmp_path, "--rate", "500") as process:
        _counted(tmp_path, 500)
        status = json.loads(fourfold(tmp_path, "status", "--json").stdout)
        assert {role["name"] for role in status["roles"]} == {"produce", "process", "batch", "serve"}
        assert all(psutil.pid_exists(role["pid"]) for role in status["roles"])
        refused = fourfold(tmp_path, "up")
        assert refused.returncode == 2
        assert "already" in refused.stderr
        counts = json.loads(fourfold(tmp_path, "counts", "--json").stdout)
        assert counts["totals"]["clicks"] > 500
        assert counts["provenance"]["mode"] == "lambda"
        with urllib.request.urlopen(f"{status['addresses']['api']}/v1/totals", timeout=10) as response:
            assert json.load(response)["totals"]["clicks"] > 500

        began = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(10) == 130
        assert time.monotonic() - began < allowed(5)
    until(lambda: not _left_running(tmp_path), within_s=2, what="every process to be gone")

    counted = counts["totals"]["clicks"]
    seconds = 12
    servers = EmbeddedServers(tmp_path / ".fourfold")
    with _up(tmp_path, "--rate", "500", "--duration", str(seconds), "--seed", "7") as process:
        _counted(tmp_path, counted + 200)
        # at once: a run that has produced everything needs Kafka no more
        servers.kafka.kill()
        servers.redis.kill()
        assert process.wait(180) == 0, _output(tmp_path)
    text = _output(tmp_path)
    assert "verify: EXACT" in text
    assert "accuracy" in text
    assert "Kafka: it has ended, starting it again" in text
    assert "Redis: it has ended, starting it again" in text
    # all that was produced is counted, what was on its way when they died, too
    assert _clicks(text)[-1] > counted + seconds * 500 * 0.8
    assert min(c for c in _clicks(text) if c) >= counted
    assert _left_running(tmp_path) == []


@pytest.mark.soak
@pytest.mark.parametrize("mode", MODES)
def test_each_mode_runs_whole_and_ends_exact(tmp_path, mode):
    done = fourfold(tmp_path, "up", "--rate", "1000", "--duration", "10", FOURFOLD_MODE=mode)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verify: EXACT" in done.stdout
    assert _clicks(done.stdout)[-1] > 5000
    versions = json.loads(fourfold(tmp_path, "versions", "--json", FOURFOLD_MODE=mode).stdout)["versions"]
    assert bool(versions) == mode_named(mode).batch_view
    assert _left_running(tmp_path) == []


@pytest.mark.soak
def test_a_change_of_the_mode_counts_what_the_log_has(tmp_path):
    first = fourfold(tmp_path, "up", "--rate", "500", "--duration", "4", FOURFOLD_MODE="kappa")
    second = fourfold(tmp_path, "up", "--rate", "500", "--duration", "2", FOURFOLD_MODE="batch")
    assert (first.returncode, second.returncode) == (0, 0), second.stdout + second.stderr
    assert "verify: EXACT" in first.stdout
    assert "verify: EXACT" in second.stdout
    assert _clicks(second.stdout)[-1] > _clicks(first.stdout)[-1]


def test_servers_outlive_their_command_and_the_batch_commands_work_on_them(tmp_path, monkeypatch):
    """In a folder whose name others take for a pattern, a column, a link's text or markup."""
    tmp_path = tmp_path / "kappa [2026]" / "[/x] 100%20^2" / "topic=shop"
    tmp_path.mkdir(parents=True)
    started = fourfold(tmp_path, "embedded", "start")
    try:
        assert started.returncode == 0, started.stderr
        assert "FOURFOLD_KAFKA=127.0.0.1:" in started.stdout
        assert fourfold(tmp_path, "topics").returncode == 0
        assert fourfold(tmp_path, "produce", "--duration", "2", "--rate", "500").returncode == 0

        monkeypatch.chdir(tmp_path)
        settings = Settings(epoch_seconds=5, _env_file=None)
        over = int(time.time() * 1000) // settings.rules.epoch_ms + 1
        until(lambda: _covered_below(settings) >= over, within_s=60, what="a version that covers all events")
        full = fourfold(tmp_path, "recompute", "--full")
        assert full.returncode == 0, full.stderr
        elt = fourfold(tmp_path, "recompute", "--engine", "duckdb")
        assert elt.returncode == 0, elt.stderr
        kept = json.loads(command(settings, "versions", "--json").stdout)
        newest = kept["versions"][-1]
        assert (newest["engine"], kept["current"]) == ("duckdb", newest["version"])
        assert newest["accepted"] == kept["versions"][-2]["accepted"]

        back = command(settings, "rollback", str(newest["version"] - 1))
        assert back.returncode == 0, back.stderr
        assert json.loads(command(settings, "versions", "--json").stdout)["current"] == newest["version"] - 1
        assert command(settings, "rollback", "99").returncode == 2

        report = json.loads(command(settings, "quality", "--json").stdout)
        assert report["total"] == len(report["checks"]) > 5
        assert fourfold(tmp_path, "quality", "--parquet", "checks.parquet").returncode == 0
        assert len(pd.read_parquet(tmp_path / "checks.parquet")) == report["total"]

        letters = json.loads(fourfold(tmp_path, "deadletters", "--json").stdout)
        assert letters["count"] == 0
        unknown = command(settings, "trace", "no-such-event")
        assert (unknown.returncode, unknown.stderr.count("\n")) == (1, 1)
    finally:
        # with what its output invites to set: it is about both servers all the same
        printed = dict(each.split("=", 1) for each in started.stdout.split())
        state = json.loads(fourfold(tmp_path, "embedded", "status", "--json", **printed).stdout)
        again = fourfold(tmp_path, "embedded", "start", **printed)
        stopped = fourfold(tmp_path, "embedded", "stop", **printed)
    assert [(server["name"], server["healthy"]) for server in state] == [("kafka", True), ("redis", True)]
    assert again.stdout == started.stdout
    assert (stopped.returncode, stopped.stdout) == (0, "stopped: Kafka, Redis\n")
    assert _left_running(tmp_path) == []
    assert fourfold(tmp_path, "embedded", "stop").stdout.startswith("nothing runs in ")


def _covered_below(settings: Settings) -> int:
    """The epoch at which the newest version ends, after another cycle."""
    done = command(settings, "batch", "--once")
    assert done.returncode == 0, done.stderr
    versions = json.loads(command(settings, "versions", "--json").stdout)["versions"]
    return versions[-1]["cut_epoch"] if versions else 0


def test_up_ends_when_somebody_stops_its_servers(tmp_path):
    with _up(tmp_path, "--rate", "100", FOURFOLD_MODE="streaming") as process:
        _counted(tmp_path, 50)
        assert fourfold(tmp_path, "embedded", "stop").stdout == "stopped: Kafka, Redis\n"
        assert process.wait(30) == 1
    assert re.match(r"fourfold: \w+ was stopped while it was in use", _output(tmp_path).splitlines()[-1])
    assert _left_running(tmp_path) == []


def test_commands_without_servers_say_what_to_do(tmp_path):
    for name in ("counts", "verify", "watch", "deadletters", "process"):
        done = fourfold(tmp_path, name)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert "fourfold up" in done.stderr
