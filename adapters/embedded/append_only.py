"""Mending Redis' append-only file before a start: a crash may have torn it."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adapters.durable import write_whole
from core.errors import UnavailableError

#: From Redis 7.0 on a folder with a manifest, before that one file.
FOLDER: Final = Path("appendonlydir")
_MANIFEST: Final = FOLDER / "appendonly.aof.manifest"
_SINGLE: Final = Path("appendonly.aof")
#: What Redis writes before what it has to say: process, role and time.
_PREFIX: Final = re.compile(r"^\d+:\w \d+ \w+ \d{4} [\d:.]+ [.\-*#] ")


@dataclass(frozen=True, slots=True)
class _Part:
    """A line of the manifest. kind: `b` base, `i` increment, `h` superseded."""

    line: str
    name: str
    kind: str


def mend(home: Path, binary: Path) -> bool:
    """Cut off what cannot be read at the end of the append-only file(s) in `home`. Returns whether anything was.

    Where an increment before the last one is torn, later ones are dropped: what is left is what Redis once held.
    Raises UnavailableError if more than an end is damaged, and if Redis would start empty over what is there.
    """
    manifest, single = home / _MANIFEST, home / _SINGLE
    if not manifest.exists():
        _refuse_parts_without_manifest(home / FOLDER)
    elif not _half_taken_over(home):
        return _mend_folder(manifest, binary)
    # An empty one is as good as none, and the checker refuses it.
    return single.exists() and single.stat().st_size > 0 and _cut(single, binary)


def _refuse_parts_without_manifest(folder: Path) -> None:
    """Redis would begin again at the first number and write over them."""
    parts = [*folder.glob("*.rdb"), *folder.glob("*.aof")] if folder.exists() else []
    # the very first start makes an empty base and an empty increment before the manifest
    if any(".1." not in part.name or (part.suffix == ".aof" and part.stat().st_size) for part in parts):
        raise _damaged(folder / _MANIFEST.name, "it is missing, and its parts are there")


def _half_taken_over(home: Path) -> bool:
    """Whether a Redis of the folder had written the manifest, and not yet moved the one file of an older Redis there."""
    bases = [part.name for part in _parts(home / _MANIFEST) if part.kind == "b"]
    return bases == [_SINGLE.name] and not (home / FOLDER / _SINGLE).exists() and (home / _SINGLE).exists()


def _mend_folder(manifest: Path, binary: Path) -> bool:
    parts = _parts(manifest)
    if not parts:
        raise _damaged(manifest, "it is empty")
    for part in parts:
        file = manifest.with_name(part.name)
        # the checker takes it for a good one, and Redis would add increments to nothing
        if part.kind == "b" and file.suffix == ".rdb" and file.exists() and not file.stat().st_size:
            raise _damaged(file, "it is empty")
    dropped = _drop_after_torn(manifest, parts, binary)
    return _cut(manifest, binary) or dropped


def _drop_after_torn(manifest: Path, parts: list[_Part], binary: Path) -> bool:
    """Cut the first increment that is torn, and drop those that were added to what it no longer holds."""
    increments = [part for part in parts if part.kind == "i"]
    for number, part in enumerate(increments[:-1], start=1):
        file = manifest.with_name(part.name)
        if file.exists() and file.stat().st_size and _cut(file, binary):
            later = increments[number:]
            write_whole(manifest, "".join(f"{each.line}\n" for each in parts if each not in later).encode())
            for each in later:
                manifest.with_name(each.name).unlink(missing_ok=True)
            return True
    return False


def _parts(manifest: Path) -> list[_Part]:
    """What the manifest names, in its order; lines that are torn are the checker's business."""
    found = []
    for line in manifest.read_text(errors="replace").splitlines():
        words = line.split()
        fields = dict(zip(words[::2], words[1::2], strict=False))
        if "file" in fields and "type" in fields:
            found.append(_Part(line, fields["file"], fields["type"]))
    return found


def _cut(file: Path, binary: Path) -> bool:
    """Let the checker cut off the end that cannot be read; whether there was one."""
    before = _bytes_of(file)
    # The server is its own checker when it is called by this name.
    check = subprocess.run(  # noqa: S603 - the chosen redis-server, no shell
        ["redis-check-aof", "--fix", str(file)],  # noqa: S607 - a name; `executable` is what runs
        executable=binary,
        input="y\n",
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if check.returncode:
        lines = (check.stdout + check.stderr).strip().splitlines()
        raise _damaged(file, _PREFIX.sub("", lines[-1]) if lines else "no reason given")
    return _bytes_of(file) < before


def _bytes_of(file: Path) -> int:
    """Of all parts where the file is a manifest."""
    if file.name != _MANIFEST.name:
        return file.stat().st_size
    return sum(each.stat().st_size for each in file.parent.iterdir())


def _damaged(file: Path, why: str) -> UnavailableError:
    return UnavailableError(
        f"the append-only file {file} is damaged beyond its end ({why}); "
        f"remove the directory {file.parent} and start again: Fourfold counts again from the log"
    )
