"""The command line: what is wrong is said in one line on standard error, with exit code 2."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.errors import ConfigurationError, FourfoldError, InexactError, UnavailableError
from modes import cli, invocation
from modes.catalogue import MODES

ROOT = Path(cli.__file__).parent.parent
#: Commands that take no further arguments.
COMMANDS = ["up", "topics", "produce", "process", "watch", "counts", "verify", "deadletters", "status"]


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    # the command line configures logs for its own process
    monkeypatch.setattr(invocation.logs, "configure", lambda *_: None)


def main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """`fourfold ARGUMENTS` in this process: exit code, standard output and error."""
    monkeypatch.setattr(sys, "argv", ["fourfold", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    code = ended.value.code
    return code if isinstance(code, int) else 0, out, err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_mode_that_there_is_not_is_refused_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str
) -> None:
    monkeypatch.setenv("FOURFOLD_MODE", "zeta")
    code, out, err = main(monkeypatch, capsys, command)
    assert (code, out) == (2, "")
    assert err == f"fourfold: FOURFOLD_MODE is 'zeta', but there are {', '.join(MODES)}: use one of them\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_setting_is_refused_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str
) -> None:
    monkeypatch.setenv("FOURFOLD_PARTITIONS", "0")
    code, out, err = main(monkeypatch, capsys, command)
    assert (code, out) == (2, "")
    assert err == "fourfold: FOURFOLD_PARTITIONS is '0': use a whole number from 1 to 1,000\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["topics", "produce", "process", "watch", "counts", "verify", "deadletters"])
def test_without_servers_a_command_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    code, out, err = main(monkeypatch, capsys, command)
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert "start with `fourfold up`" in err


def test_up_in_a_directory_that_cannot_be_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FOURFOLD_DATA_DIR", str(tmp_path / "file" / "data"))
    code, _, err = main(monkeypatch, capsys, "up", "--plain", "--duration", "1")
    assert code == 2
    assert len(err.splitlines()) == 1
    assert "is no folder" in err


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOURFOLD_MODE", "zeta")
    monkeypatch.setattr(sys, "argv", ["fourfold", "--debug", "counts"])
    monkeypatch.setattr(invocation.state, "debug", False)
    with pytest.raises(ConfigurationError):
        cli.main()


@pytest.mark.parametrize(
    "arguments", [["fly"], ["up", "--rate", "fast"], ["up", "--workers", "0"], ["counts", "--xml"]]
)
def test_wrong_use_ends_with_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    code, out, err = main(monkeypatch, capsys, *arguments)
    assert (code, out) == (2, "")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("error", "code"), [(FourfoldError, 1), (UnavailableError, 1), (InexactError, 1), (ConfigurationError, 2)]
)
def test_each_kind_of_error_has_its_exit_code(error: type[FourfoldError], code: int) -> None:
    assert error("x").exit_code == code


def test_every_command_has_help_with_one_line_at_least() -> None:
    runner = CliRunner()
    for command in COMMANDS:
        done = runner.invoke(cli.app, [command, "--help"])
        assert done.exit_code == 0, command
        assert len(done.output) > 80, command


def test_status_without_anything_running_is_a_document_with_the_trouble_in_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FOURFOLD_KAFKA", "127.0.0.1:1")
    monkeypatch.setenv("FOURFOLD_REDIS", "redis://user:secret@127.0.0.1:1/0")
    monkeypatch.setattr(sys, "argv", ["fourfold", "status", "--json"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert ended.value.code in (0, None)
    assert document["addresses"]["redis"] == "redis://127.0.0.1:1/0"
    assert document["trouble"]
    assert document["roles"] == []
    assert "secret" not in out + err


def test_the_real_process_says_it_the_same_way(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "modes", "process"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "FOURFOLD_MODE": "zeta"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"fourfold: FOURFOLD_MODE is 'zeta', but there are {', '.join(MODES)}: use one of them\n"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("API_HOST", "no.such.host.invalid", "is no name or address that is known here"),
        ("API_HOST", "203.0.113.7", "is not an address of this machine"),
        ("METRICS_HOST", "::1:9100x", "is no name or address that is known here"),
        ("METRICS_HOST", "203.0.113.7", "is not an address of this machine"),
    ],
)
def test_up_refuses_a_host_that_is_none_before_it_starts_anything(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    name: str,
    value: str,
    said: str,
) -> None:
    monkeypatch.setenv(f"FOURFOLD_{name}", value)
    code, out, err = main(monkeypatch, capsys, "up", "--plain", "--duration", "1")
    assert (code, out) == (2, "")
    assert err.startswith(f"fourfold: FOURFOLD_{name} is {value!r}, which {said}")
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_misspelt_name_is_told_beside_the_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FOURFOLD_MOD", "kappa")
    monkeypatch.setattr(sys, "argv", ["fourfold", "mode", "--json"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    assert ended.value.code in (0, None)
    assert json.loads(out)["configured"] == "lambda"
    assert err == "fourfold: environment: FOURFOLD_MOD is not a setting; did you mean FOURFOLD_MODE?\n"


def test_a_role_leaves_that_to_the_command_that_started_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FOURFOLD_MOD", "kappa")
    monkeypatch.setenv("FOURFOLD_OWNER", "1")
    invocation.settings_of(role=True)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO, errno.ENOTDIR])
def test_a_disk_that_refuses_is_told_in_one_line(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise OSError(number, os.strerror(number), "/some/place")

    monkeypatch.setattr(cli, "app", refuse)
    with pytest.raises(SystemExit, match="1"):
        cli.main()
    said = capsys.readouterr().err
    assert said == f"fourfold: /some/place cannot be used ({os.strerror(number)}): put that right, and try again\n"


@pytest.mark.parametrize(
    ("modules", "without"),
    [
        ("modes.commands.roles, modes.roles.produce", "redis faust numpy pyarrow pandas fastapi adapters.embedded"),
        ("modes.commands.roles, modes.roles.process", "pyarrow pandas fastapi adapters.embedded"),
        ("modes.commands.roles, modes.roles.batch", "faust fastapi adapters.embedded duckdb"),
        ("modes.commands.roles, modes.roles.serve", "faust pyarrow pandas adapters.embedded"),
        ("modes.commands.counts", "faust pyarrow pandas fastapi adapters.embedded"),
        ("modes.commands.run", "faust pyarrow pandas fastapi"),
    ],
)
def test_a_command_loads_only_what_it_needs(modules: str, without: str) -> None:
    code = f"import sys, modes.cli, {modules}; print(*sorted(set({without.split()}) & sys.modules.keys()))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout == "\n"


def test_each_command_is_where_the_command_line_looks_for_it() -> None:
    done = CliRunner().invoke(cli.app, ["--help"])
    assert done.exit_code == 0
    missing = [name for name in cli.COMMANDS if f" {name} " not in done.output]
    assert missing == []
    modules = {path.stem for path in (ROOT / "modes" / "commands").glob("*.py")} - {"__init__"}
    assert modules == set(cli.COMMANDS.values())


def test_a_misspelt_command_is_told_of_the_one_that_is_meant() -> None:
    done = CliRunner().invoke(cli.app, ["statsu"])
    assert done.exit_code == 2
    assert "Did you mean 'status'" in done.output
