"""`requirements/install.py`: on which machines a lock can be installed, and how."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", ROOT / "requirements" / "install.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


install = load()
Machine = install.Machine


def test_this_machine_is_one() -> None:
    assert Machine.this().refusal() == ""


@pytest.mark.parametrize(
    "machine",
    [
        Machine("linux", "x86_64", glibc=(2, 28)),
        Machine("linux", "aarch64", glibc=(2, 36)),
        Machine("darwin", "arm64", macos=(15, 1)),
        Machine("darwin", "x86_64", macos=(12, 0)),
        # an interpreter that was built long ago calls a newer one 10.16
        Machine("darwin", "arm64"),
    ],
)
def test_where_it_runs(machine: object) -> None:
    assert machine.refusal() == ""  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        (Machine("win32", "amd64"), "on Windows use WSL 2"),
        (Machine("cygwin", "x86_64"), "on Windows use WSL 2"),
        (Machine("linux", "x86_64", glibc=(2, 17)), "glibc 2.28 or newer (Debian 10, Ubuntu 20.04, RHEL 8), and this one has glibc 2.17"),
        (Machine("linux", "x86_64"), "this one has another C library (musl?)"),
        (Machine("linux", "armv7l", glibc=(2, 36), wide=False), "is for armv7l, 32 bits"),
        (Machine("linux", "aarch64", glibc=(2, 36), wide=False), "is for aarch64, 32 bits"),
        (Machine("linux", "riscv64", glibc=(2, 36)), "is for riscv64"),
        (Machine("darwin", "x86_64", macos=(11, 7)), "macOS 12 or newer, and this is 11.7"),
    ],
)  # fmt: skip
def test_where_it_does_not_one_line_says_what_to_do(machine: object, said: str) -> None:
    refusal = machine.refusal()  # type: ignore[attr-defined]
    assert said in refusal
    assert "\n" not in refusal


def test_a_machine_that_is_refused_gets_nothing_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install.sys, "platform", "win32")
    assert install.main([str(tmp_path / "venv"), "lock.txt"]) == 2
    assert capsys.readouterr().err.startswith("Fourfold runs on Linux and macOS")
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize(("system", "machine"), [("linux", "x86_64"), ("darwin", "arm64"), ("darwin", "x86_64")])
def test_wheels_alone_with_their_hashes(system: str, machine: str) -> None:
    (command,) = install.installs(Machine(system, machine), Path("python"), Path("dev.txt"))
    assert command[-5:] == ["--require-hashes", "--only-binary", ":all:", "-r", "dev.txt"]


def test_arm_linux_builds_one_package_from_what_the_locks_bring() -> None:
    tools, packages = install.installs(Machine("linux", "aarch64"), Path("python"), Path("somewhere/dev.txt"))
    assert tools[-1] == "somewhere/build.txt"
    assert packages[-1] == "somewhere/dev.txt"
    for command in (tools, packages):
        assert {"--require-hashes", "--only-binary", ":all:"} <= set(command)
    assert packages[packages.index("--no-binary") + 1] == "faust-streaming"
    assert "--no-build-isolation" in packages


@pytest.mark.parametrize("text", ["", "2", "2.36", "12.6.1"])
def test_versions(text: str) -> None:
    expected = {"": (0, 0), "2": (2, 0), "2.36": (2, 36), "12.6.1": (12, 6)}
    assert install._version(text) == expected[text]
