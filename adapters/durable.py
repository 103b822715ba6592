"""Files that are there whole, or not at all, whatever is killed when."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from core.errors import ConfigurationError

#: There is no room: it passes when somebody makes some.
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
#: Nobody may write there, or not in this way.
REFUSED: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTSUP})
#: The errors of a disk that a person puts right; others that have these numbers are no `OSError`.
OF_THE_DISK: Final = FULL | REFUSED | {errno.EIO, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ESTALE}
#: What a file system says that has no hard links; a full or read-only one says something else.
_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})


def sync(path: Path) -> None:
    """Makes a file's content, or a folder's entries, survive a crash of the machine."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def refusal_to_write(folder: Path) -> str:
    """Why no file can be written in `folder`, which is made where it is missing; empty where one can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"x")
    except OSError as error:
        return error.strerror or str(error)
    return ""


def refuse_without_links(folder: Path) -> None:
    """Raises `ConfigurationError` where the file system of `folder` has no hard links; passes where that cannot be seen."""
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".links-") as probe:
            (Path(probe) / "a").touch()
            try:
                (Path(probe) / "b").hardlink_to(Path(probe) / "a")
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    return
                raise ConfigurationError(
                    f"{folder} is on a file system without hard links ({error.strerror}), which publishing in one step "
                    "needs: set FOURFOLD_LAKE to a folder on another one"
                ) from error
    except OSError:
        return


def write_whole(path: Path, content: bytes) -> None:
    """Replaces `path` in one step."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        _write(temporary, content)
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def write_new(path: Path, content: bytes) -> None:
    """Makes `path` in one step. Raises `FileExistsError` where somebody made it before."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        _write(temporary, content)
        # unlike a rename, a link does not replace what is there
        os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
