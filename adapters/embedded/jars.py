"""Kafka's jars, from the user's Maven repository or downloaded into it."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from urllib.request import getproxies

import msgspec

from adapters.durable import OF_THE_DISK, refusal_to_write, write_whole
from adapters.embedded.jar_lock import KAFKA, LOCK_FILE, LockedJar, read_lock
from core.errors import ConfigurationError, UnavailableError
from core.secrets import without_password

PARALLEL_DOWNLOADS: Final = 4


class VerifiedFile(msgspec.Struct, frozen=True):
    """A file whose content was compared with the lock when it had this size (bytes) and time of change (ns)."""

    path: str
    size: int
    changed: int

    @classmethod
    def of(cls, path: Path) -> VerifiedFile:
        """The file as it is now. Raises OSError if there is none."""
        status = path.stat()
        return cls(str(path), status.st_size, status.st_mtime_ns)


class Jars:
    """The jars that the lock names.

    repository: a Maven repository, by default the user's own (as Maven and jgo find it), so that a second clone of
    the project downloads nothing. spare: takes its place where that one lacks jars and cannot be written, or where the
    user has no home. cache: a directory for what was verified already.
    """

    def __init__(
        self, cache: Path, progress: Callable[[str], None], repository: Path | None = None, spare: Path | None = None
    ) -> None:
        self._cache = cache
        self._progress = progress
        self._repository = repository
        self._spare = spare

    def class_path(self) -> tuple[Path, ...]:
        """Paths of all jars, each with the content that the lock names. Offline and in milliseconds if there already.

        Raises UnavailableError if a jar is missing and cannot be downloaded, ConfigurationError without jgo.
        """
        known = self._remembered()
        if known is not None:
            return known
        found = self._ensure(read_lock())
        self._remember(found)
        return found

    def _ensure(self, jars: Sequence[LockedJar]) -> tuple[Path, ...]:
        context = _maven_context(self._repository, self._spare)
        missing = _missing(jars, context.repo_cache)
        if missing and self._spare is not None and (refusal := refusal_to_write(context.repo_cache)):
            self._progress(f"{context.repo_cache} cannot be written ({refusal}): jars are kept in {self._spare}")
            context = _maven_context(self._spare, self._spare)
            missing = _missing(jars, context.repo_cache)
        repository: Path = context.repo_cache
        if missing:
            self._progress(f"Kafka {KAFKA}: downloading {len(missing)} of {len(jars)} jars to {repository}")
            self._download(missing, context)
        return tuple(jar.path_in(repository) for jar in jars)

    def _download(self, jars: Sequence[LockedJar], context: Any) -> None:
        total = 0
        with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
            pending = [pool.submit(_fetch, jar, context) for jar in jars]
            try:
                for count, (jar, future) in enumerate(zip(jars, pending, strict=True), start=1):
                    total += future.result()
                    self._progress(
                        f"Kafka {KAFKA}: {count} of {len(jars)} jars, {total / 1e6:.0f} MB ({jar.file_name})"
                    )
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _note(self) -> Path:
        key = hashlib.sha256(LOCK_FILE.read_bytes() + os.fsencode(str(self._repository))).hexdigest()
        return self._cache / f"kafka-{KAFKA}-{key[:16]}.json"

    def _remembered(self) -> tuple[Path, ...] | None:
        try:
            files = msgspec.json.decode(self._note().read_bytes(), type=tuple[VerifiedFile, ...])
            if all(VerifiedFile.of(Path(file.path)) == file for file in files):
                return tuple(Path(file.path) for file in files)
        except (OSError, msgspec.DecodeError):
            return None
        return None

    def _remember(self, paths: Sequence[Path]) -> None:
        try:
            self._cache.mkdir(parents=True, exist_ok=True)
            write_whole(self._note(), msgspec.json.encode([VerifiedFile.of(path) for path in paths]))
        except OSError as error:
            self._progress(f"{self._cache} cannot be written ({error.strerror}): the jars are verified at each start")


def _missing(jars: Sequence[LockedJar], repository: Path) -> list[LockedJar]:
    return [jar for jar in jars if not jar.matches(jar.path_in(repository))]


def _maven_context(repository: Path | None, spare: Path | None) -> Any:
    try:
        from jgo.config import GlobalSettings  # noqa: PLC0415 - an optional dependency, slow to import
        from jgo.maven import MavenContext  # noqa: PLC0415
    except ImportError as error:
        raise ConfigurationError(
            "the embedded Kafka needs the package `jgo`, which is not installed; "
            "install `fourfold[embedded]`, or set the address of a Kafka"
        ) from error
    try:
        settings = GlobalSettings.load()
    except RuntimeError as error:
        # it looks into the user's home, and there is none
        own = os.environ.get("M2_REPO")
        repository = repository or (Path(own) if own else spare)
        if repository is None:
            raise ConfigurationError("this user has no home for a Maven repository: set HOME, or M2_REPO") from error
        settings = GlobalSettings(cache_dir=repository, repo_cache=repository)
    context = MavenContext(repo_cache=repository or settings.repo_cache)
    context.remote_repos = {**settings.repositories, **context.remote_repos}
    return context


def _fetch(jar: LockedJar, context: Any) -> int:
    """Download one jar and put it in its place in one step; returns its size in bytes."""
    from jgo.maven import MavenContext  # noqa: PLC0415 - an optional dependency, slow to import

    target = jar.path_in(context.repo_cache)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # jgo writes in place and only warns of a wrong content: an interrupted download would stay for good.
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            staging = MavenContext(repo_cache=Path(folder), remote_repos=context.remote_repos)
            file = staging.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
            if not jar.matches(file):
                raise UnavailableError(
                    f"the Maven repository's {jar.file_name} has another content than jars.lock says; "
                    "set another repository in jgo's configuration file, or none"
                )
            file.replace(target)
    except (OSError, RuntimeError) as error:
        # requests' errors are OSErrors without a number; jgo says RuntimeError when no repository has the file.
        if isinstance(error, OSError) and error.errno in OF_THE_DISK:
            raise UnavailableError(
                f"{jar.file_name} of Kafka {KAFKA} cannot be kept in {target.parent} ({error.strerror}): free some space "
                "there or make it writable, or set M2_REPO to another folder"
            ) from error
        raise UnavailableError(
            f"{jar.file_name} of Kafka {KAFKA} cannot be downloaded ({type(error).__name__}) to {target.parent}"
            f"{_over_proxy()}; connect to the network, or copy a filled Maven repository there, and start again"
        ) from error
    return target.stat().st_size


def _over_proxy() -> str:
    """The proxy that the environment names for downloads, for a message; empty without one."""
    found = getproxies()
    for scheme in ("https", "all"):
        if scheme in found:
            name = next((name for name in os.environ if name.lower() == f"{scheme}_proxy"), "the system")
            return f" over the proxy {without_password(found[scheme])} of {name}: check it"
    return ""
