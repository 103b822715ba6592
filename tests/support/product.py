"""The product's own processes, started by tests as its supervisor starts them."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

from adapters.speed.port import Snapshot
from core.errors import UnavailableError
from modes import invocation
from modes.catalogue import Role
from modes.cli import main
from modes.fork_server import ForkServer
from modes.launcher import Launch, Launcher, Process
from modes.roles.produce import produce as produce_role
from modes.settings import Settings, environment
from modes.supervisor import Supervisor
from modes.wiring.answers import auditor
from modes.wiring.speed import speed_reader
from serving.answer import merged
from serving.verify import Verdict, compare
from tests.support.shop import SHOP, ZERO
from tests.support.waiting import until


@cache
def launcher() -> Launcher:
    """What all tests of this process start the product's processes with: their libraries are loaded once."""
    return ForkServer.for_roles(Role)


@contextmanager
def supervised(settings: Settings) -> Iterator[Supervisor]:
    """A supervisor whose children are stopped at the end."""
    supervisor = Supervisor(environment(settings), launcher=launcher())
    try:
        yield supervisor
    finally:
        supervisor.stop()


@contextmanager
def worker(settings: Settings, name: str = "process") -> Iterator[Supervisor]:
    """One worker process."""
    with supervised(settings) as supervisor:
        supervisor.start(name, ["process"], settings.data_dir / "logs" / f"{name}.log")
        yield supervisor


def run(
    settings: Settings, *arguments: str, program: Sequence[str] = ("modes",), timeout_s: float = 90
) -> subprocess.CompletedProcess[str]:
    """Runs `fourfold ARGUMENTS` to its end. Raises `subprocess.TimeoutExpired`, when it has been killed.

    `program`: a module of the tests and its first arguments, in place of the product's.
    """
    with TemporaryDirectory() as folder:
        said, told = Path(folder, "out"), Path(folder, "err")
        process = launcher().start(Launch([*program, *arguments], {**os.environ, **environment(settings)}, said, told))
        try:
            code = process.wait(timeout_s)
        finally:
            process.kill()
        return subprocess.CompletedProcess(["fourfold", *arguments], code, said.read_text(), told.read_text())


def command(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As `run`, in this process: it need not be started. Not for two threads at once."""
    before, said, told = dict(os.environ), io.StringIO(), io.StringIO()
    code: Any = 0
    with (
        mock.patch.dict(os.environ, environment(settings)),
        mock.patch.object(sys, "argv", ["fourfold", *arguments]),
        # whoever runs the tests keeps his logs
        mock.patch.object(invocation.logs, "configure"),
        redirect_stdout(said),
        redirect_stderr(told),
    ):
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    assert dict(os.environ) == before
    return subprocess.CompletedProcess(["fourfold", *arguments], code or 0, said.getvalue(), told.getvalue())


def produce(settings: Settings, seconds: float, rate: float) -> None:
    """Produces for so long, in this process; fails the test if Kafka did not take everything."""
    run = settings.run or uuid.uuid4().hex[:12]
    stats = produce_role(settings.model_copy(update={"rate": rate, "run": run}), seconds)
    assert not stats.lost + stats.failed


def snapshot(settings: Settings) -> Snapshot | None:
    """The view now; None while the store is away."""
    reader = speed_reader(settings)
    try:
        return reader.read()
    except UnavailableError:
        return None
    finally:
        reader.close()


def lag(settings: Settings) -> int:
    """Records that are not counted yet."""
    with auditor(settings) as witness:
        ends = witness.ends_now()
    seen = snapshot(settings)
    vector = seen.vector if seen else {}
    return sum(end - vector.get(source, 0) for source, end in ends.items())


def caught_up(settings: Settings, within_s: float = 40) -> None:
    """Waits until everything in the log is counted."""
    until(lambda: lag(settings) == 0, within_s=within_s, what="the view to catch up")


def verdict(settings: Settings) -> Verdict:
    """The view against the truth."""
    seen = snapshot(settings)
    assert seen is not None
    with auditor(settings) as witness:
        witness.read_until(seen.vector)
        return compare(merged(ZERO, seen, None), witness.ledger, SHOP)


def assert_exact(settings: Settings) -> Verdict:
    """Fails the test with the differences unless the view equals the truth."""
    found = verdict(settings)
    assert found.exact, "\n".join(map(str, found.differences[:10]))
    return found


@contextmanager
def started(settings: Settings, *arguments: str) -> Iterator[Process]:
    """`fourfold ARGUMENTS` with its output in the data directory, interrupted at the end as by Ctrl-C."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    process = launcher().start(
        Launch(["modes", *arguments], {**os.environ, **environment(settings)}, settings.data_dir / "output.log")
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def answers(address: str) -> bool:
    """Whether the API at an address, with its scheme, has an answer."""
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=2):
            return True
    except OSError:
        return False
