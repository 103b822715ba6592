"""Paths as people write them: `~` is somebody's home, and an address of a store is no path."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from core.errors import ConfigurationError

#: `s3://bucket/x`, `abfss://…`, `file:///x`, and `dbfs:/x`, which Spark's file systems are named by.
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
#: Schemes of stores with one colon and no slash: what people mean by them is no folder here.
_STORES: Final = re.compile(r"(?:s3[an]?|gc?s|abfss?|adls?|az|wasbs?|hdfs|dbfs|r2|https?|s?ftp|file):", re.IGNORECASE)
#: What a shell replaces, and `.env` files, containers and services do not.
_VARIABLE: Final = re.compile(r"\$\{?[A-Za-z_]|%[A-Za-z_]+%")
_WINDOWS: Final = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_LONGEST_NAME: Final = 255


def expanded(path: str | Path) -> str:
    """A path that a file system takes, `~` and `~name` replaced. Raises `ValueError`, which says what to write."""
    text = str(path)
    if text and not text.strip():
        raise ValueError("blanks alone are no path")
    if text[:1] in {"'", '"'}:
        raise ValueError("quotes are part of a path here: write it without them")
    if _VARIABLE.match(text):
        raise ValueError("variables are not replaced here: write what they stand for")
    if _ADDRESS.match(text) or _STORES.match(text):
        raise ValueError("a folder or file is needed, not an address: mount the store and name the folder")
    if _WINDOWS.match(text):
        raise ValueError("a path of Windows means nothing here: WSL has C:\\ at /mnt/c/")
    if "\0" in text:
        raise ValueError("a path has no zero byte")
    try:
        found = str(Path(text).expanduser()) if text.startswith("~") else text
    except RuntimeError:
        raise ValueError(f"{Path(text).parts[0]} is nobody's home: write the path in full, or ./{text}") from None
    if any(len(os.fsencode(part)) > _LONGEST_NAME for part in Path(found).parts):
        raise ValueError(f"a name in a path has at most {_LONGEST_NAME} bytes")
    return found


def folder(path: str | Path) -> str:
    """As `expanded`, of what is a folder or can become one. Raises `ValueError`."""
    found = expanded(path)
    for part in (Path(found), *Path(found).parents):
        with suppress(OSError):
            if found and part.exists() and not part.is_dir():
                raise ValueError(f"{part} is no folder: name one, or a path below one")
    return found


def path_of(text: str | Path) -> Path:
    """The path that an option names, for `typer.Option(parser=…)`. Raises `ConfigurationError`."""
    try:
        return Path(expanded(text))
    except ValueError as error:
        raise ConfigurationError(f"{str(text)!r}: {error}") from None
