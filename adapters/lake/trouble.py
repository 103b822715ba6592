"""What a file system, or somebody who touched the lake, did to it: in one line, with where and what to do."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

import pyarrow as pa
from deltalake.exceptions import DeltaError

from adapters.durable import FULL, OF_THE_DISK
from core.errors import UnavailableError

#: What libraries raise for a file that is not there, torn, or on a disk that is full.
LIBRARY_ERRORS: Final = (OSError, pa.ArrowException, DeltaError)
_NUMBER: Final = re.compile(r"(?:os error |errno )(\d+)", re.IGNORECASE)
_ESCAPES: Final = re.compile(r"\x1b\[[0-9;]*m")
_LONGEST: Final = 120


class LakeError(UnavailableError):
    """The lake cannot be read or written now; what is archived and published stays."""


class DamagedFileError(LakeError):
    """A file is missing, or is not what was written. Goes from process to process, so it has one argument."""

    remedy = "put it back from a copy"

    @classmethod
    def of(cls, path: Path, why: BaseException | str) -> Self:
        """The error that names the file, why it cannot be read, and the remedy."""
        said = why if isinstance(why, str) else reason_of(why)
        return cls(f"{path} is damaged ({said}): {cls.remedy}")


class DamagedRawError(DamagedFileError):
    """A file of the raw table."""

    remedy = "put it back from a copy, or begin another archive with FOURFOLD_LAKE, which is filled from the log"


class DamagedViewError(DamagedFileError):
    """A file of the batch view."""

    remedy = "`fourfold recompute --full` makes another version"


@contextmanager
def reading(path: Path, damaged: type[DamagedFileError]) -> Iterator[None]:
    """Raises `damaged` where a library cannot read `path` inside."""
    try:
        yield
    except LIBRARY_ERRORS as error:
        raise damaged.of(path, error) from error


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Raises `LakeError` for what a library or the file system says inside."""
    try:
        yield
    except LIBRARY_ERRORS as error:
        raise in_words(error, folder) from error


def in_words(error: BaseException, folder: Path) -> LakeError:
    """The error for people of what happened somewhere in `folder`."""
    number = number_of(error)
    name = getattr(error, "filename", None)
    place = Path(os.fsdecode(name)) if isinstance(name, str | bytes) else folder
    if number in FULL:
        return LakeError(
            f"no room is left in {folder} ({os.strerror(number)}): free some; nothing is lost, the next try goes on"
        )
    if number in OF_THE_DISK:
        return LakeError(
            f"{place} cannot be written ({os.strerror(number)}): put that right, or set FOURFOLD_LAKE; nothing is lost, "
            "the next try goes on"
        )
    return LakeError(f"{place} cannot be used ({reason_of(error)}): put that right, or set FOURFOLD_LAKE")


def number_of(error: BaseException) -> int:
    """The number of the system's error, also where only a library's text has it; 0 for none."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    found = _NUMBER.search(str(error))
    return int(found[1]) if found else 0


def reason_of(error: BaseException) -> str:
    """What an error says, in a few words of one line."""
    if isinstance(error, FileNotFoundError):
        return "it is missing"
    if number := number_of(error):
        return os.strerror(number)
    # Delta adds where in its own code it happened
    text = " ".join(_ESCAPES.sub("", str(error)).partition("\n   0:")[0].split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
