"""What starts processes: one that the fork server forks lives, ends and speaks as one that is a command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from modes import fork_server
from modes.fork_server import ForkServer
from modes.launcher import Commands, Launch, Launcher, Process
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]
WAIT_S = 20
SLEEPS = "import time; print('here', flush=True); time.sleep(60)"
Start = Callable[..., Process]


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with ForkServer(["decimal", "no.such.module"]) as made:
        yield made


@pytest.fixture(params=["command", "forked"])
def launcher(request: pytest.FixtureRequest, server: ForkServer) -> Launcher:
    return Commands() if request.param == "command" else server


@pytest.fixture
def said(tmp_path: Path) -> Path:
    return tmp_path / "said"


@pytest.fixture
def start(launcher: Launcher, said: Path) -> Iterator[Start]:
    started = []

    def go(code: str, *, error: Path | None = None, **more: str) -> Process:
        started.append(launcher.start(Launch(["tests.support.small", code, "é"], {**os.environ, **more}, said, error)))
        return started[-1]

    yield go
    for process in started:
        process.kill()
        process.wait(WAIT_S)


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        ("pass", 0),
        ("raise SystemExit(2)", 2),
        ("raise SystemExit(None)", 0),
        ("raise SystemExit('a reason')", 1),
        ("raise ValueError", 1),
        ("raise KeyboardInterrupt", -2),
        ("import os; os._exit(75)", 75),
        ("import os; os.kill(os.getpid(), 9)", -9),
        ("import os; os.kill(os.getpid(), 15)", -15),
    ],
)
def test_its_exit_code_is_known(start: Start, code: str, exit_code: int) -> None:
    process = start(code)
    assert process.wait(WAIT_S) == exit_code
    assert (process.poll(), process.returncode) == (exit_code, exit_code)


def test_it_has_its_arguments_environment_folder_and_session(start: Start, said: Path) -> None:
    code = "import os, sys; print(sys.argv[2], os.environ['MORE'], os.getcwd(), os.getsid(0) == os.getpid())"
    assert start(code, MORE="given").wait(WAIT_S) == 0
    assert said.read_text() == f"é given {Path.cwd()} True\n"
    assert start("import os; print('MORE' in os.environ)").wait(WAIT_S) == 0
    assert said.read_text().endswith("True\nFalse\n")


def test_it_is_the_main_program(start: Start, said: Path) -> None:
    code = "import sys; print(__name__, sys.modules['__main__'].__spec__.name, *sys.orig_argv[1:3])"
    assert start(code).wait(WAIT_S) == 0
    assert said.read_text() == "__main__ tests.support.small -m tests.support.small\n"


def test_a_traceback_and_a_reason_go_to_standard_error(start: Start, said: Path, tmp_path: Path) -> None:
    told = tmp_path / "told"
    start("print('out'); raise ValueError('why')", error=told).wait(WAIT_S)
    start("raise SystemExit('a reason')", error=told).wait(WAIT_S)
    assert said.read_text() == "out\n"
    assert told.read_text().endswith("ValueError: why\na reason\n")


def test_what_is_registered_and_running_at_its_end_is_done(start: Start, said: Path) -> None:
    code = (
        "import atexit, threading, time; atexit.register(print, 'registered');"
        "threading.Timer(0.05, print, ['in a thread']).start()"
    )
    assert start(code).wait(WAIT_S) == 0
    assert said.read_text() == "in a thread\nregistered\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, -15), (signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_signals_reach_it(start: Start, said: Path, number: signal.Signals, code: int) -> None:
    caught = f"try:\n    {SLEEPS}\nexcept KeyboardInterrupt:\n    raise SystemExit(130)"
    process = start(caught)
    until(lambda: said.exists() and said.read_text(), within_s=WAIT_S, what="it to speak")
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.send_signal(number)
    assert process.wait(WAIT_S) == code
    # nobody is hurt
    process.send_signal(signal.SIGKILL)
    process.kill()


def test_its_command_line_is_seen_from_outside(start: Start, said: Path) -> None:
    process = start(SLEEPS)
    until(lambda: said.exists() and said.read_text(), within_s=WAIT_S, what="it to speak")
    assert " ".join(psutil.Process(process.pid).cmdline()).startswith(f"{sys.executable} -m tests.support.small import")


def test_many_run_beside_each_other(start: Start, said: Path) -> None:
    crowd = [start(f"raise SystemExit({number})") for number in range(8)]
    assert [process.wait(WAIT_S) for process in reversed(crowd)] == [*range(7, -1, -1)]


def test_a_place_for_its_output_that_cannot_be_is_an_error(launcher: Launcher, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        launcher.start(Launch(["tests.support.small", "pass"], os.environ, tmp_path / "nowhere" / "said"))


OWNER = """
import os, sys
from pathlib import Path
{threads}
from modes.fork_server import ForkServer
from modes.launcher import Commands, Launch
launcher = {made}
values = {{**os.environ, "FOURFOLD_OWNER": str(os.getpid())}}
code = "import os, time; from adapters.launch import die_with; die_with(int(os.environ['FOURFOLD_OWNER'])); exec(" + repr({sleeps!r}) + ")"
started = [launcher.start(Launch(["tests.support.small", code], values, Path(sys.argv[1]))) for _ in range(2)]
print(*(process.pid for process in started), flush=True)
sys.stdin.readline()
"""
THREADS = "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the owner stops what it started")
@pytest.mark.parametrize("made", ["Commands()", "ForkServer(['decimal'])"])
@pytest.mark.parametrize("threads", ["", THREADS], ids=["one thread", "two threads"])
@pytest.mark.parametrize("end", ["killed", "ended"])
def test_processes_end_with_their_owner(tmp_path: Path, made: str, threads: str, end: str) -> None:
    said = tmp_path / "said"
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER.format(made=made, threads=threads, sleeps=SLEEPS), str(said)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    pids = [int(pid) for pid in owner.stdout.readline().split()]
    until(lambda: said.exists() and said.read_text() == "here\n" * 2, within_s=WAIT_S, what="both to run")
    parents = {psutil.Process(pid).ppid() for pid in pids}
    assert (parents == {owner.pid}) == (made == "Commands()")
    if end == "killed":
        owner.kill()
    owner.communicate("\n" if end == "ended" else None, timeout=WAIT_S)
    gone = {*pids, *parents}
    until(lambda: not any(lives(pid) for pid in gone), within_s=WAIT_S, what="all to end")


def lives(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="there is no server elsewhere")
class TestServer:
    def test_what_is_loaded_is_loaded_in_each_process(self, server: ForkServer, said: Path) -> None:
        asked = ["tests.support.small", "import sys; print('decimal' in sys.modules)"]
        assert server.start(Launch(asked, os.environ, said)).wait(WAIT_S) == 0
        assert Commands().start(Launch(asked, os.environ, said)).wait(WAIT_S) == 0
        assert said.read_text() == "True\nFalse\n"

    def test_who_needs_another_interpreter_is_a_command(self, server: ForkServer, said: Path) -> None:
        asked = ["tests.support.small", "import sys; print('decimal' in sys.modules, sys.flags.dev_mode)"]
        assert server.start(Launch(asked, {**os.environ, "PYTHONDEVMODE": "1"}, said)).wait(WAIT_S) == 0
        assert said.read_text() == "False True\n"

    def test_what_somebody_has_each_interpreter_do_is_done_in_each_process(self, tmp_path: Path) -> None:
        site = tmp_path / "site"
        site.mkdir()
        (site / "sitecustomize.py").write_text("import sys\nif 'serve' in sys.argv: print('customised')")
        code = (
            "import os; from pathlib import Path; from modes.fork_server import ForkServer; from modes.launcher import Launch\n"
            "with ForkServer([]) as server: server.start(Launch(['tests.support.small', 'pass', 'serve'], os.environ)).wait()"
        )
        values = os.environ | {"PYTHONPATH": f"{site}"}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=values, capture_output=True, text=True, check=True
        )
        assert done.stdout == "customised\n"

    def test_a_process_that_outlives_it_is_waited_for_and_can_be_killed(self, said: Path) -> None:
        with ForkServer([]) as server:
            stays = "import signal; signal.signal(15, signal.SIG_IGN)\n" + SLEEPS
            process = server.start(Launch(["tests.support.small", stays], os.environ, said))
            until(lambda: said.exists() and said.read_text(), within_s=WAIT_S, what="it to speak")
            parent = psutil.Process(process.pid).ppid()
            os.kill(parent, signal.SIGKILL)
            until(lambda: not lives(parent), within_s=WAIT_S, what="the server to end")
            assert process.poll() is None
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.01)
            process.kill()
            process.wait(WAIT_S)
            assert not lives(process.pid)

    def test_where_it_does_not_answer_processes_are_commands(self, said: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with ForkServer([]) as server:
            first = server.start(Launch(["tests.support.small", "import os; print(os.getppid())"], os.environ, said))
            first.wait(WAIT_S)
            stopped = int(said.read_text())
            os.kill(stopped, signal.SIGSTOP)
            monkeypatch.setattr(fork_server, "LOAD_S", 0.05)
            for _ in range(2):
                asked = ["tests.support.small", f"import os; raise SystemExit(os.getppid() != {os.getpid()})"]
                assert server.start(Launch(asked, os.environ, said)).wait(WAIT_S) == 0
        assert not lives(stopped)

    def test_an_environment_that_no_message_holds_is_a_command_s(self, said: Path) -> None:
        with ForkServer([]) as server:
            values = {**os.environ, **{f"MORE_{number}": "x" * 50_000 for number in range(8)}}
            for more in (values, {**os.environ}):
                asked = ["tests.support.small", "import os; print(len(os.environ.get('MORE_7', '')), os.getppid())"]
                assert server.start(Launch(asked, more, said)).wait(WAIT_S) == 0
            parents = [line.split() for line in said.read_text().splitlines()]
            assert parents[0] == ["50000", str(os.getpid())]
            # the server is still there for others
            assert parents[1][0] == "0"
            assert parents[1][1] != str(os.getpid())

    def test_what_its_owner_wants_done_at_the_end_is_done_once_and_none_of_its_files_is_open_elsewhere(
        self, tmp_path: Path
    ) -> None:
        code = (
            "import os, sys, tempfile; from pathlib import Path; from modes.fork_server import ForkServer; from modes.launcher import Launch\n"
            "kept = tempfile.TemporaryDirectory(); file = open(sys.argv[1], 'w')\n"
            "with ForkServer([]) as server:\n"
            "    asked = ['tests.support.small', f'import os; print(os.path.exists(\"/proc/self/fd/{file.fileno()}\"))']\n"
            "    server.start(Launch(asked, os.environ, Path(sys.argv[1] + '.said'))).wait()\n"
            "    print(Path(kept.name).is_dir(), Path(sys.argv[1] + '.said').read_text())"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "file")],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == ["True", "False"]

    def test_it_works_for_who_has_no_standard_input(self) -> None:
        code = (
            "import os; os.close(0); from modes.fork_server import ForkServer; from modes.launcher import Launch\n"
            "with ForkServer([]) as server: print(server.start(Launch(['tests.support.small', 'pass'], os.environ)).wait())"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert (done.stdout, done.stderr) == ("0\n", "")

    def test_where_it_dies_its_processes_end_and_others_are_commands(self, said: Path) -> None:
        with ForkServer([]) as server:
            code = f"import os; from adapters.launch import die_with; die_with(os.getppid()); exec({SLEEPS!r})"
            process = server.start(Launch(["tests.support.small", code], os.environ, said))
            until(lambda: said.exists() and said.read_text(), within_s=WAIT_S, what="it to speak")
            os.kill(psutil.Process(process.pid).ppid(), signal.SIGKILL)
            assert process.wait(WAIT_S) == -signal.SIGTERM
            assert not lives(process.pid)
            for _ in range(2):
                asked = ["tests.support.small", f"import os; raise SystemExit(os.getppid() != {os.getpid()})"]
                assert server.start(Launch(asked, os.environ, said)).wait(WAIT_S) == 0

    def test_a_process_that_cannot_be_is_an_error(self) -> None:
        code = (
            "import os, resource, sys; from pathlib import Path; from modes.fork_server import ForkServer; from modes.launcher import Launch\n"
            "with ForkServer([]) as server:\n"
            "    server.start(Launch(['tests.support.small', 'pass'], os.environ)).wait()\n"
            "    try: server.start(Launch(['tests.support.small', 'pass'], {**os.environ, 'MORE': 'x' * 10_000_000}))\n"
            "    except OSError as error: print(type(error).__name__)\n"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout == "OSError\n"
