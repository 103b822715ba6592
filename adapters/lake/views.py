"""The versions of the batch view: published in one atomic step, kept for a while, gone back to."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from adapters.durable import refuse_without_links, sync, write_new, write_whole
from adapters.lake import current_file
from adapters.lake.manifest import Manifest
from adapters.lake.parquet import rows_of
from adapters.lake.plain_path import aside, plain
from adapters.lake.trouble import DamagedViewError, LakeError, in_words, writing
from core.declaration.pipeline import Pipeline
from core.errors import ConfigurationError, FourfoldError

log = structlog.get_logger(__name__)

#: How many versions are kept behind the current one.
KEEP: Final = 10
#: Files that no manifest names may belong to a recompute that is at work.
_YOUNG_S: Final = 3600.0
_TRIES: Final = 10
_FAILING: Final = "FAILING"
_MANIFEST: Final = re.compile(r"v(\d{6,})\.json")
#: How we name data files.
_WRITTEN: Final = re.compile(r"(?:cells|users|ids)-[0-9a-f-]+\.parquet")


class Failing(NamedTuple):
    """Why no version is published now, and since when (milliseconds since 1970)."""

    since_ms: int
    reason: str


class PublishedBeforeError(FourfoldError):
    """Somebody else published this version number first: nothing was changed."""


class ViewStore:
    """A folder with `CURRENT`, manifests `v000007.json` and, in `data/`, the files they name.

    `current.parquet` is there for other programs (`current_file`). `FAILING` is there while batch cycles fail, so that whoever reads the views can say why none is new.

    Any number of readers, in any process; publishers fence each other off.
    """

    def __init__(self, path: Path, pipeline: Pipeline) -> None:
        """`pipeline`: whose cells they are."""
        self._path = path.absolute()
        self._pipeline = pipeline
        self._made = False

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self._path

    @property
    def data(self) -> Path:
        """The folder of the files, under a name that every library can read. Raises as `plain`."""
        return plain(self._path) / "data"

    def make(self) -> None:
        """Makes the folders.

        Raises `ConfigurationError` where that is not allowed, or on a file system without hard links; `LakeError` where
        they were there before.
        """
        folder = self._path / "data"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if self._made:
                raise in_words(error, folder) from error
            raise ConfigurationError(
                f"{folder} cannot be made ({error.strerror}): make it writable, or set FOURFOLD_LAKE"
            ) from error
        if not self._made:
            refuse_without_links(folder)
        self._made = True

    def pointer(self) -> int:
        """The number of the current version; 0 for none. One small read. Raises `DamagedViewError`."""
        path = self._path / "CURRENT"
        try:
            return int(path.read_text())
        except FileNotFoundError:
            # the first version's manifest is there for a moment before it is current
            if any(number > 1 for number in self._numbers()):
                raise DamagedViewError.of(path, "it is missing") from None
            return 0
        except OSError as error:
            raise DamagedViewError.of(path, error) from error
        except ValueError:
            raise DamagedViewError.of(path, "it holds no number") from None

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
        raise DamagedViewError.of(self._file_of(number), "it is missing")

    def manifest(self, number: int) -> Manifest:
        """One version. Raises `FileNotFoundError` where there is none, `DamagedViewError` where it cannot be read."""
        path = self._file_of(number)
        try:
            return Manifest.decode(path.read_bytes())
        except FileNotFoundError:
            raise
        except OSError as error:
            raise DamagedViewError.of(path, error) from error
        except ValueError as error:
            raise DamagedViewError.of(path, "it is no manifest") from error

    def check_files(self, manifest: Manifest) -> None:
        """Raises `DamagedViewError` where a file of a version is not there, or torn."""
        for name in sorted(manifest.files()):
            rows_of(self.data / name, DamagedViewError)

    def check_meaning(self, manifest: Manifest) -> None:
        """Raises `ConfigurationError` where a version counts what another declaration means."""
        if manifest.meaning != self._pipeline.meaning:
            raise ConfigurationError(
                f"version {manifest.version} of the batch view counts what another declaration means than that of "
                "FOURFOLD_PIPELINE: `fourfold recompute --full` makes one that does, or set it back"
            )

    def versions(self) -> list[Manifest]:
        """All versions that are kept and can be read, the oldest first; of the others a line is logged."""
        found = []
        for number in self._numbers():
            # one may be removed while they are read
            with suppress(FileNotFoundError):
                try:
                    found.append(self.manifest(number))
                except DamagedViewError as error:
                    log.warning("a version cannot be read", reason=str(error))
        return found

    def next_number(self) -> int:
        """The number of the next version: above all, also above one that was not made current."""
        numbers = self._numbers()
        with suppress(DamagedViewError):
            # its manifest may be lost
            numbers.append(self.pointer())
        return max(numbers, default=0) + 1

    def publish(self, manifest: Manifest) -> None:
        """Makes a version current; its files are in `data/` and durable. Then the file for other programs is replaced.

        Raises `PublishedBeforeError` where that number was taken meanwhile, `LakeError` where nothing can be written,
        `ConfigurationError` on a file system without hard links.
        """
        try:
            with writing(self._path):
                self._publish(manifest)
        except LakeError:
            refuse_without_links(self._path)
            raise

    def _publish(self, manifest: Manifest) -> None:
        sync(self.data)
        try:
            write_new(self._file_of(manifest.version), manifest.encode().encode())
        except FileExistsError:
            raise PublishedBeforeError(
                f"version {manifest.version} was published by somebody else: does a second batch process run?"
            ) from None
        write_whole(self._path / "CURRENT", str(manifest.version).encode())
        current_file.replace(self.data.parent, self.data, manifest, self._pipeline)

    def mend_current_file(self) -> None:
        """Writes the file for other programs again where it is not of the current version, as after a kill.

        Raises `LakeError`, of which `DamagedViewError` where that version cannot be read.
        """
        current = self.current()
        if current is not None and current.meaning != self._pipeline.meaning:
            # the next version replaces it
            return
        if current is not None and current_file.version_of(self.data.parent) != current.version:
            with writing(self._path):
                current_file.replace(self.data.parent, self.data, current, self._pipeline)

    def failing(self) -> Failing | None:
        """What the last batch cycle failed of; None where it went well. Two small reads."""
        for note in self._notes():
            with suppress(OSError, ValueError, KeyError, TypeError):
                document = json.loads(note.read_bytes())
                return Failing(int(document["since_ms"]), str(document["reason"]))
        return None

    def tell_failure(self, reason: str, now_ms: int) -> None:
        """Tells readers that a cycle failed: those on this machine also where the folder cannot be written."""
        before = self.failing()
        shown = "".join(letter if letter.isprintable() else "·" for letter in " ".join(reason.split()))
        told = Failing(now_ms if before is None else before.since_ms, shown)
        for note in self._notes():
            with suppress(OSError):
                write_whole(note, json.dumps(told._asdict()).encode())
                return

    def tell_success(self) -> None:
        """Tells readers that a cycle went well."""
        for note in self._notes():
            with suppress(OSError):
                note.unlink(missing_ok=True)

    def rollback(self, number: int) -> Manifest:
        """Makes an earlier version current again.

        Raises `ConfigurationError` where it is not kept or of another pipeline, `DamagedViewError` where a file of it is damaged.
        """
        try:
            manifest = self.manifest(number)
        except FileNotFoundError:
            kept = ", ".join(map(str, self._numbers())) or "none"
            raise ConfigurationError(f"there is no version {number}; there are: {kept}") from None
        self.check_meaning(manifest)
        self.check_files(manifest)
        with writing(self._path):
            write_whole(self._path / "CURRENT", str(number).encode())
            current_file.replace(self.data.parent, self.data, manifest, self._pipeline)
        return manifest

    def vacuum(self, keep: int = KEEP) -> int:
        """Removes old versions and files of ours that no version names; how many files went.

        The current version and the `keep` newest stay. Raises `LakeError`.
        """
        with writing(self._path):
            return self._vacuum(keep)

    def _vacuum(self, keep: int) -> int:
        numbers = self._numbers()
        staying = {self.pointer(), *numbers[-keep:]}
        for number in numbers:
            if number not in staying:
                self._file_of(number).unlink(missing_ok=True)
        try:
            named = {name for number in staying & set(numbers) for name in self.manifest(number).files()}
        except DamagedViewError:
            # its files may be all that is left of it
            return 0
        gone = 0
        now = time.time()
        for entry in os.scandir(self.data):
            ours = _WRITTEN.fullmatch(entry.name) and entry.is_file()
            if ours and entry.name not in named and now - entry.stat().st_mtime > _YOUNG_S:
                Path(entry.path).unlink(missing_ok=True)
                gone += 1
        return gone

    def _notes(self) -> Iterator[Path]:
        yield self._path / _FAILING
        with suppress(ConfigurationError):
            yield aside(self._path)

    def _numbers(self) -> list[int]:
        # a synchronizer's copies have other names
        found = (_MANIFEST.fullmatch(file.name) for file in self._path.glob("v*.json"))
        return sorted(int(match[1]) for match in found if match)

    def _file_of(self, number: int) -> Path:
        return self._path / f"v{number:06}.json"
