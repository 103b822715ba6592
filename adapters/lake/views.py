"""The versions of the batch view: published in one atomic step, kept for a while, gone back to."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from adapters.durable import sync, write_new, write_whole
from adapters.lake.manifest import Manifest
from adapters.lake.plain_path import plain
from core.errors import ConfigurationError, FourfoldError, UnavailableError

#: How many versions are kept behind the current one.
KEEP: Final = 10
#: Files that no manifest names may belong to a recompute that is at work.
_YOUNG_S: Final = 3600.0
_TRIES: Final = 10
_FAILING: Final = "FAILING"


class Failing(NamedTuple):
    """Why no version is published now, and since when (milliseconds since 1970)."""

    since_ms: int
    reason: str


class PublishedBeforeError(FourfoldError):
    """Somebody else published this version number first: nothing was changed."""


class ViewStore:
    """A folder with `CURRENT`, manifests `v000007.json` and, in `data/`, the files they name.

    `FAILING` is there while batch cycles fail, so that whoever reads the views can say why none is new.

    Any number of readers, in any process; publishers fence each other off.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()

    @property
    def data(self) -> Path:
        """The folder of the files, under a name that every library can read. Raises as `plain`."""
        return plain(self._path) / "data"

    def make(self) -> None:
        """Makes the folders. Raises `ConfigurationError` where that is not allowed."""
        folder = self._path / "data"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"{folder} cannot be made ({error.strerror}): make it writable, or set FOURFOLD_LAKE"
            ) from error

    def pointer(self) -> int:
        """The number of the current version; 0 for none. One small read. Raises `UnavailableError`."""
        try:
            return int((self._path / "CURRENT").read_text())
        except FileNotFoundError:
            return 0
        except (OSError, ValueError) as error:
            raise UnavailableError(f"{self._path / 'CURRENT'} cannot be read ({error})") from error

    def current(self) -> Manifest | None:
        """The current version; None before the first one."""
        for _ in range(_TRIES):
            number = self.pointer()
            if not number:
                return None
            try:
                return self.manifest(number)
            except FileNotFoundError:
                # replaced and removed between two reads
                continue
        raise UnavailableError(f"the manifest of version {number} is not in {self._path}: `fourfold recompute --full`")

    def manifest(self, number: int) -> Manifest:
        """One version. Raises `FileNotFoundError`."""
        return Manifest.decode(self._file_of(number).read_bytes())

    def versions(self) -> list[Manifest]:
        """All versions that are kept, the oldest first."""
        found = []
        for number in self._numbers():
            # one may be removed while they are read
            with suppress(FileNotFoundError):
                found.append(self.manifest(number))
        return found

    def next_number(self) -> int:
        """The number of the next version: above all, also above one that was not made current."""
        return max(self._numbers(), default=0) + 1

    def publish(self, manifest: Manifest) -> None:
        """Makes a version current; its files are in `data/` and durable.

        Raises `PublishedBeforeError` where that number was taken meanwhile.
        """
        sync(self.data)
        try:
            write_new(self._file_of(manifest.version), manifest.encode().encode())
        except FileExistsError:
            raise PublishedBeforeError(
                f"version {manifest.version} was published by somebody else: does a second batch process run?"
            ) from None
        write_whole(self._path / "CURRENT", str(manifest.version).encode())

    def failing(self) -> Failing | None:
        """What the last batch cycle failed of; None where it went well. One small read."""
        try:
            document = json.loads((self._path / _FAILING).read_bytes())
            return Failing(int(document["since_ms"]), str(document["reason"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def tell_failure(self, reason: str, now_ms: int) -> None:
        """Tells readers that a cycle failed; as far as the folder can be written."""
        before = self.failing()
        shown = "".join(letter if letter.isprintable() else "·" for letter in " ".join(reason.split()))
        told = Failing(now_ms if before is None else before.since_ms, shown)
        with suppress(OSError):
            write_whole(self._path / _FAILING, json.dumps(told._asdict()).encode())

    def tell_success(self) -> None:
        """Tells readers that a cycle went well."""
        with suppress(OSError):
            (self._path / _FAILING).unlink(missing_ok=True)

    def rollback(self, number: int) -> Manifest:
        """Makes an earlier version current again. Raises `ConfigurationError` where it is not kept."""
        try:
            manifest = self.manifest(number)
        except FileNotFoundError:
            kept = ", ".join(map(str, self._numbers())) or "none"
            raise ConfigurationError(f"there is no version {number}; there are: {kept}") from None
        write_whole(self._path / "CURRENT", str(number).encode())
        return manifest

    def vacuum(self, keep: int = KEEP) -> int:
        """Removes old versions and files that no version names; how many files went.

        The current version and the `keep` newest stay.
        """
        numbers = self._numbers()
        staying = {self.pointer(), *numbers[-keep:]}
        for number in numbers:
            if number not in staying:
                self._file_of(number).unlink(missing_ok=True)
        named = {name for number in staying & set(numbers) for name in self.manifest(number).files()}
        gone = 0
        now = time.time()
        for entry in os.scandir(self.data):
            if entry.name not in named and entry.is_file() and now - entry.stat().st_mtime > _YOUNG_S:
                Path(entry.path).unlink(missing_ok=True)
                gone += 1
        return gone

    def _numbers(self) -> list[int]:
        return sorted(int(file.stem[1:]) for file in self._path.glob("v[0-9]*.json"))

    def _file_of(self, number: int) -> Path:
        return self._path / f"v{number:06}.json"
