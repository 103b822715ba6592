"""Makes a virtual environment from a lock: wheels alone, each with a hash that the lock has.

    python requirements/install.py FOLDER LOCK

It says in one line where this machine cannot run Fourfold (exit code 2). Only the standard library: nothing else is
there yet.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: What the wheels of the lock ask for; `tests/integration/test_lock.py` asks the package index whether they do.
OLDEST_GLIBC: Final = (2, 28)
OLDEST_MACOS: Final = (12, 0)
ARM: Final = ("aarch64", "arm64")
X86: Final = ("x86_64", "amd64")
#: It has no wheel for ARM Linux. Its source needs no compiler: what would be compiled there has a twin in Python.
BUILT_ON_ARM_LINUX: Final = "faust-streaming"
_OTHERWISE: Final = "`docker compose up` runs Fourfold in containers"


@dataclass(frozen=True, slots=True)
class Machine:
    """What decides which wheels fit. system: as `sys.platform`; machine: of the interpreter; versions: (0, 0) for none."""

    system: str
    machine: str
    glibc: tuple[int, int] = (0, 0)
    macos: tuple[int, int] = (0, 0)
    wide: bool = True

    @classmethod
    def this(cls) -> Machine:
        """The one that runs this interpreter."""
        library, version = platform.libc_ver() if sys.platform == "linux" else ("", "")
        return cls(
            system=sys.platform,
            machine=platform.machine().lower(),
            glibc=_version(version) if library == "glibc" else (0, 0),
            macos=_version(platform.mac_ver()[0]),
            wide=sys.maxsize > 1 << 32,
        )

    @property
    def builds(self) -> bool:
        """Whether a package has no wheel here and is built."""
        return self.system == "linux" and self.machine in ARM

    def refusal(self) -> str:
        """Why Fourfold cannot be installed here, and what to do; empty if it can."""
        if self.system not in {"linux", "darwin"}:
            return (
                f"Fourfold runs on Linux and macOS, and this Python is of {self.system}: on Windows use WSL 2 "
                f"(its own Python, in its own file system); {_OTHERWISE}"
            )
        if self.machine not in ARM + X86 or not self.wide:
            bits = "" if self.wide else ", 32 bits"
            return (
                f"Fourfold needs a 64-bit Python on x86-64 or ARM, and this one is for {self.machine}{bits}: install "
                f"such a Python, and name it: make PYTHON=/path/to/python3.11"
            )
        if self.system == "linux" and self.glibc < OLDEST_GLIBC:
            found = f"glibc {_text(self.glibc)}" if self.glibc > (0, 0) else "another C library (musl?)"
            return (
                f"Fourfold's packages need Linux with glibc {_text(OLDEST_GLIBC)} or newer (Debian 10, Ubuntu 20.04, "
                f"RHEL 8), and this one has {found}: use a newer one; {_OTHERWISE}"
            )
        if self.system == "darwin" and (0, 0) < self.macos < OLDEST_MACOS:
            return (
                f"Fourfold's packages need macOS {OLDEST_MACOS[0]} or newer, and this is {_text(self.macos)}: update it; "
                f"{_OTHERWISE}"
            )
        return ""


def installs(machine: Machine, python: Path, lock: Path) -> list[list[str]]:
    """The commands that install a lock into the virtual environment of `python`."""
    # twice quiet: errors, and no warnings of what pip will change one day
    pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    pip += ["--require-hashes", "--only-binary", ":all:"]
    if not machine.builds:
        return [[*pip, "-r", str(lock)]]
    # pip does not compare hashes of what it fetches for a build, so the lock brings that, too
    return [
        [*pip, "-r", str(lock.with_name("build.txt"))],
        [*pip, "--no-binary", BUILT_ON_ARM_LINUX, "--no-build-isolation", "-r", str(lock)],
    ]


def main(arguments: Sequence[str]) -> int:
    """Exit code: 0 done, 2 not on this machine, otherwise that of what failed."""
    folder, lock = map(Path, arguments)
    machine = Machine.this()
    if refusal := machine.refusal():
        print(refusal, file=sys.stderr)
        return 2
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        *installs(machine, folder / "bin" / "python", lock),
    ):
        if code := subprocess.run(command, check=False).returncode:
            return code
    return 0


def _version(text: str) -> tuple[int, int]:
    """The first two numbers of a version; (0, 0) for none."""
    major, minor, *_ = [*(int(part) for part in text.split(".") if part.isdigit()), 0, 0]
    return major, minor


def _text(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
