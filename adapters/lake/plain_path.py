"""A folder under a name that every library takes for what it is.

Delta makes a URL of a table's real path, and of that a host's name: it fails at `[` or `^`, and
looks for `%20` under another name. DuckDB takes `[x]` for a pattern and `topic=shop` for a column.
Neither, nor Arrow, takes bytes that are no UTF-8. People may name their folders so: these libraries then
go through links, which are in the folder for temporary files and can be made again at any time.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from core.errors import ConfigurationError

#: Stands for itself in a path, in a URL and in a pattern.
_PLAIN: Final = re.compile(r"[A-Za-z0-9/._~@+-]*")
#: Where the usual folder for temporary files has an odd name, too.
_LAST_RESORT: Final = Path("/tmp")  # noqa: S108 - what is made in there is checked


def plain(folder: Path) -> Path:
    """`folder`, or a link to it where its name is odd. It need not be there yet.

    Raises `ConfigurationError` where no link can be made.
    """
    folder = folder.absolute()
    if _is_plain(folder):
        return folder
    shelf = _shelf(folder)
    _link(shelf / _digest(folder), folder)
    return shelf / _digest(folder)


def plain_root(folder: Path, inside: Iterable[str]) -> Path:
    """`folder`, or where its name is odd a folder that has links to the folders `inside` of it, which are made.

    For who asks the system for the real name of the folder, but not of what is in it.
    Raises as `plain`.
    """
    folder = folder.absolute()
    if _is_plain(folder):
        return folder
    root = _shelf(folder) / f"{_digest(folder)}.root"
    try:
        root.mkdir(exist_ok=True)
        for name in inside:
            (folder / name).mkdir(parents=True, exist_ok=True)
            _link(root / name, folder / name)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be written ({error.strerror}): set FOURFOLD_LAKE") from error
    return root


def aside(folder: Path) -> Path:
    """A name in our folder for temporary files, of `folder` alone: for what cannot be written there. Raises as `plain`."""
    return _shelf(folder.absolute()) / f"{_digest(folder.absolute())}.note"


def _is_plain(folder: Path) -> bool:
    return all(_PLAIN.fullmatch(name) for name in (str(folder), os.path.realpath(folder)))


def _digest(folder: Path) -> str:
    return hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]


def _shelf(folder: Path) -> Path:
    """Our folder for links: nobody else can put one there."""
    usual = Path(tempfile.gettempdir()).absolute()
    shelf = (usual if _is_plain(usual) else _LAST_RESORT) / f"fourfold-{os.geteuid()}"
    try:
        shelf.mkdir(mode=0o700, exist_ok=True)
        found = shelf.lstat()
    except OSError as error:
        raise ConfigurationError(
            f"{folder} has characters that Delta cannot read, and {shelf}, where a link to it would be, cannot be made "
            f"({error.strerror}): set TMPDIR to a folder that can be written, or FOURFOLD_LAKE to a plain name"
        ) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigurationError(f"{shelf} can be changed by somebody else: remove it, or set TMPDIR")
    return shelf


def _link(link: Path, target: Path) -> None:
    try:
        link.symlink_to(target)
    except FileExistsError:
        if not link.is_symlink() or link.readlink() != target:
            raise ConfigurationError(f"{link} is no link to {target}: remove it") from None
