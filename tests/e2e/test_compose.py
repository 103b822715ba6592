"""`docker compose up` as a person has it: live counts on a quiet terminal, exact, kept over a stop."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from modes.catalogue import MODES
from tests.support.busy import allowed
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
BUILD_S, UP_S, STOP_S = 400, 120, 15
CLICKS = re.compile(r"clicks ([\d,]+)  sales ")
#: What runs in each mode, beside its roles.
PARTS = ("kafka", "redis", "topics", "watch")
#: A line that a service wrote: `watch-1  | clicks 12 ...`.
OUTPUT = re.compile(r"^(?:\x1b\[2K)*([a-z]+)-\d+ +\| (.*)$", re.MULTILINE)


def no_docker() -> str:
    """Why compose cannot be tried; empty if it can."""
    for command in (["docker", "version"], ["docker", "compose", "version"]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=15, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"`{' '.join(command)}`: {error}"
        if done.returncode:
            return f"`{' '.join(command)}`: {(done.stderr or done.stdout).strip()}"
    return ""


@dataclass
class Stack:
    """A compose project of its own, on host ports of its own."""

    project: str
    environment: dict[str, str]
    kafka: str
    redis: str
    api: str
    env_file: Path = Path(os.devnull)

    def command(self, *arguments: str) -> list[str]:
        return [
            *("docker", "compose", "--project-name", self.project, "--env-file", str(self.env_file)),
            *("--file", str(ROOT / "docker-compose.yml"), *arguments),
        ]

    def run(
        self, *arguments: str, timeout_s: float = UP_S, ok: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*arguments),
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert not ok or done.returncode == 0, f"{' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done

    def fourfold(self, *arguments: str) -> dict[str, Any]:
        """What a command that runs inside, beside `watch`, answers."""
        document: dict[str, Any] = json.loads(self.run("exec", "-T", "watch", "fourfold", *arguments, "--json").stdout)
        return document

    def totals(self) -> dict[str, Any]:
        """What the API answers on this machine."""
        with urllib.request.urlopen(f"{self.api}/v1/totals", timeout=10) as response:
            document: dict[str, Any] = json.load(response)
        return document

    def services(self) -> dict[str, dict[str, Any]]:
        lines = self.run("ps", "--all", "--format", "json").stdout.splitlines()
        return {row["Service"]: row for row in map(json.loads, lines)}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    if reason := no_docker():
        pytest.skip(f"no Docker engine with compose answers: {reason}")
    kafka_port, redis_port, api_port = free_ports(3)
    ours = {
        "FOURFOLD_PUBLISHED_API_PORT": str(api_port),
        "FOURFOLD_PUBLISHED_KAFKA_PORT": str(kafka_port),
        "FOURFOLD_PUBLISHED_REDIS_PORT": str(redis_port),
        "FOURFOLD_RATE": "300",
        "FOURFOLD_BATCH_SECONDS": "10",
        "COMPOSE_ANSI": "never",
    }
    foreign = ("FOURFOLD_", "COMPOSE_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | ours
    made = Stack(
        # .ci/run removes what a killed run of that name has left
        f"fourfold-test-{os.environ.get('FOURFOLD_TEST_RUN') or uuid.uuid4().hex[:8]}",
        environment,
        f"127.0.0.1:{kafka_port}",
        f"redis://127.0.0.1:{redis_port}/0",
        f"http://127.0.0.1:{api_port}",
    )
    try:
        made.run("build", timeout_s=BUILD_S)
        yield made
    finally:
        made.run("down", "--volumes", "--rmi", "local", "--timeout", "5", ok=False)


@pytest.fixture(scope="module")
def terminal(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What `docker compose up` has written so far, from the start until its Ctrl-C at the end."""
    shown = tmp_path_factory.mktemp("terminal") / "output"
    with shown.open("w") as file:
        up = subprocess.Popen(stack.command("up"), env=stack.environment, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield shown
    finally:
        up.send_signal(signal.SIGINT)
        try:
            up.wait(60)
        except subprocess.TimeoutExpired:
            up.kill()
            up.wait()


@pytest.fixture
def running(stack: Stack, terminal: Path) -> Stack:
    """The stack with all services up, once its counts move."""
    until(lambda: moves(lines_of("watch", terminal)), within_s=UP_S, what="growing clicks on the terminal")
    return stack


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def lines_of(service: str, terminal: Path) -> list[str]:
    return [line for name, line in OUTPUT.findall(terminal.read_text()) if name == service]


def moves(lines: list[str]) -> bool:
    """Whether three lines have each more clicks than the one before."""
    clicks = [int(found[1].replace(",", "")) for line in lines if (found := CLICKS.search(line))]
    return any(0 < a < b < c for a, b, c in zip(clicks, clicks[1:], clicks[2:], strict=False))


pytestmark = [pytest.mark.e2e, pytest.mark.timeout(BUILD_S + UP_S + 180)]


def test_checkouts_in_folders_of_one_name_share_neither_project_nor_volumes(tmp_path: Path) -> None:
    if reason := no_docker():
        pytest.skip(f"no Docker engine with compose answers: {reason}")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("FOURFOLD_", "COMPOSE_"))}
    seen = []
    for parent in ("a", "b"):
        folder = tmp_path / parent / "fourfold"
        folder.mkdir(parents=True)
        (folder / "docker-compose.yml").write_text((ROOT / "docker-compose.yml").read_text())
        # as a shell does that goes there
        done = subprocess.run(
            ["docker", "compose", "config", "--format", "json"],
            cwd=folder,
            env=environment | {"PWD": str(folder)},
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        found = json.loads(done.stdout)
        seen.append({found["name"], *(volume["name"] for volume in found["volumes"].values())})
    one, two = seen
    assert len(one) == len(two) == 4
    assert not one & two


#: What a producer says where nothing was acknowledged for seconds: true on a machine that others keep busy.
BUSY = "Kafka answers, and acknowledges nothing"


def test_one_image_is_built_for_all_roles(stack: Stack) -> None:
    found = json.loads(stack.run("config", "--format", "json").stdout)["services"]
    built = [name for name, service in found.items() if "build" in service]
    assert built == ["topics"]
    others = {service.get("image") for name, service in found.items() if name not in ("kafka", "redis", "topics")}
    assert others == {f"{stack.project}-topics"}


def test_the_terminal_shows_live_counts_and_else_nothing(running: Stack, terminal: Path) -> None:
    quiet = ("kafka", "redis", "topics", "produce", "process", "batch", "serve")
    said = {name: [line for line in lines_of(name, terminal) if BUSY not in line] for name in quiet}
    assert said == {name: [] for name in quiet}
    first, *lines = lines_of("watch", terminal)
    assert "mode lambda" in first
    assert f"{running.api}/" in first
    counts = [line for line in lines if "clicks " in line]
    assert all("mode lambda" in line for line in counts)
    # what explains them comes before them
    assert lines.index(counts[0]) > 1
    # zeros would look like counts
    assert any(line.startswith("starting, nothing counted yet  lag ") for line in lines[: lines.index(counts[0])])
    assert not [line for line in counts if line.startswith("clicks 0  sales 0 ")]
    assert not [line for line in lines if "Traceback" in line or "failed" in line]
    services = running.services()
    assert services.pop("topics")["ExitCode"] == 0
    assert {row["State"] for row in services.values()} == {"running"}


@pytest.mark.parametrize("service", ["watch", pytest.param("serve", marks=pytest.mark.soak)])
def test_status_inside_says_where_the_api_is_and_what_is_at_work(running: Stack, service: str) -> None:
    status = json.loads(running.run("exec", "-T", service, "fourfold", "status", "--json").stdout)
    assert status["addresses"] == {
        "kafka": "kafka:9092",
        "redis": "redis://redis:6379/0",
        "lake": "/lake",
        "api": running.api,
    }
    assert status["lag"]
    assert {part["name"] for part in status["parts"]} == {"produce", "kafka", "process", "redis", "batch", "lake"}


def test_roles_become_healthy(running: Stack) -> None:
    def health() -> bool:
        services = running.services()
        roles = ("kafka", "redis", "produce", "process", "batch", "serve")
        return all(services[name]["Health"] == "healthy" for name in roles)

    until(health, within_s=40, every_s=1, what="all health checks to pass")


def test_the_batch_view_takes_over_and_the_api_says_so(running: Stack) -> None:
    def covered() -> bool:
        document = running.totals()
        version = document["provenance"]["batch_version"]
        return version is not None and sum(document["provenance"]["cut_offsets"].values()) > 0

    until(covered, within_s=60, every_s=1, what="a batch view that covers events")
    verdict = running.fourfold("verify")
    assert verdict["exact"], verdict["differences"]
    assert verdict["compared_cells"] > 0
    assert verdict["unaudited"] == 0


def test_the_servers_answer_on_this_machine(running: Stack) -> None:
    done = subprocess.run(
        [ROOT / ".venv/bin/python", "-m", "modes", "deadletters", "--json"],
        env=running.environment | {"FOURFOLD_KAFKA": running.kafka, "FOURFOLD_REDIS": running.redis},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["count"] >= 0
    with Redis.from_url(running.redis) as client:
        assert client.ping()


def test_a_mode_that_cannot_run_says_so_in_one_line(running: Stack) -> None:
    done = running.run("run", "--rm", "-T", "--no-deps", "topics", ok=False, FOURFOLD_MODE="none")
    assert done.returncode == 2
    assert re.fullmatch(r"fourfold: .*none.*: use .*\n", done.stderr)


def test_a_stop_is_quick_and_a_start_goes_on_from_the_same_counts(running: Stack) -> None:
    running.run("stop", "produce")
    assert running.services()["produce"]["ExitCode"] == 0, "not everything was delivered"
    until(
        lambda: running.fourfold("counts")["provenance"]["lag_events"] == 0, within_s=60, what="the worker to catch up"
    )
    before = running.fourfold("counts")
    assert before["totals"]["clicks"] > 0
    assert before["provenance"]["mode"] == "lambda"

    began = time.monotonic()
    running.run("stop")
    assert time.monotonic() - began < allowed(STOP_S)
    codes = {name: row["ExitCode"] for name, row in running.services().items() if name != "kafka"}
    assert set(codes.values()) == {0}, codes

    # the roles that count, without the producer
    running.run("up", "--detach", "process", "watch")
    after = running.fourfold("counts")
    assert after["totals"] == before["totals"]
    assert after["quality"] == before["quality"]
    assert after["provenance"]["offsets"] == before["provenance"]["offsets"]


@pytest.mark.parametrize(
    "mode", ["batch", *(pytest.param(mode, marks=pytest.mark.soak) for mode in ("kappa", "streaming", "lambda"))]
)
def test_another_mode_in_the_env_file_is_another_set_of_services(running: Stack, tmp_path: Path, mode: str) -> None:
    """After the test above: what was up is one mode; `up` with another one goes on from the same log, exact."""
    before = running.fourfold("counts")
    env_file = tmp_path / ".env"
    env_file.write_text(f"FOURFOLD_MODE={mode}\n")
    there = replace(running, env_file=env_file)
    there.run("up", "--detach")

    def wanted() -> bool:
        states = {name: row["State"] for name, row in there.services().items() if name not in PARTS}
        roles = {name for name, state in states.items() if state == "running"}
        return roles == set(MODES[mode].roles) and set(states.values()) <= {"running", "exited"}

    until(wanted, within_s=UP_S, every_s=1, what=f"the services of {mode}, and no others")
    idle = [row for name, row in there.services().items() if row["State"] == "exited" and name != "topics"]
    assert [row["ExitCode"] for row in idle] == [0] * len(idle)

    def goes_on() -> bool:
        try:
            seen = there.totals()
        except OSError:
            return False
        return seen["provenance"]["mode"] == mode and seen["totals"]["clicks"] > before["totals"]["clicks"]

    until(goes_on, within_s=UP_S, every_s=1, what=f"{mode} to have more than the mode before")
    verdict = there.fourfold("verify")
    assert verdict["exact"], verdict["differences"]
