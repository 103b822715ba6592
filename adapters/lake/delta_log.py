"""The files of a Delta table's log: which one keeps the table from being read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from adapters.lake.trouble import LIBRARY_ERRORS, DamagedRawError, LakeError, reason_of

#: Whatever else is in the folder was put there by somebody else, and Delta takes no notice of it.
_COMMIT: Final = re.compile(r"(\d{20})\.json")
_CHECKPOINT: Final = re.compile(r"(\d{20})\.checkpoint\.parquet")


class TornCommitError(DamagedRawError):
    """The last commit was written half: the table of the one before is whole."""

    remedy = "move it out of that folder, and what it added is archived again from the log"


def refuse_empty(folder: Path, above: int = -1) -> None:
    """Raises where a commit with a number above `above` is empty: Delta takes it for one that adds nothing."""
    commits = _commits(folder)
    for number in sorted(number for number in commits if number > above):
        if not commits[number].stat().st_size:
            raise _torn(number, commits, "it is empty")


def still_there(folder: Path, number: int) -> bool:
    """Whether commit `number`, which was read before, is as it was. Raises `DamagedRawError` where it is torn."""
    commits = _commits(folder)
    if number not in commits:
        return False
    _check(number, commits)
    return True


def why_unreadable(folder: Path, error: BaseException) -> LakeError:
    """What to say of a table that Delta cannot open. `folder`: of its log."""
    commits = _commits(folder)
    for path in sorted(folder.iterdir()):
        if _CHECKPOINT.fullmatch(path.name):
            try:
                pq.read_metadata(path)
            except LIBRARY_ERRORS as damage:
                return DamagedRawError.of(path, damage)
    for number in sorted(commits):
        try:
            _check(number, commits)
        except DamagedRawError as damage:
            return damage
    for missing in sorted({number + 1 for number in commits} - set(commits))[:-1]:
        return DamagedRawError.of(folder / f"{missing:020}.json", "it is missing")
    return LakeError(f"{folder.parent} cannot be read as a Delta table ({reason_of(error)}): {DamagedRawError.remedy}")


def _check(number: int, commits: Mapping[int, Path]) -> None:
    try:
        lines = commits[number].read_text().splitlines()
        if not lines:
            raise _torn(number, commits, "it is empty")
        for line in lines:
            json.loads(line)
    except OSError as error:
        raise _torn(number, commits, reason_of(error)) from error
    except ValueError as error:
        raise _torn(number, commits, "it ends in the middle") from error


def _torn(number: int, commits: Mapping[int, Path], why: str) -> DamagedRawError:
    kind = TornCommitError if number == max(commits) else DamagedRawError
    return kind.of(commits[number], why)


def _commits(folder: Path) -> dict[int, Path]:
    return {int(found[1]): path for path in folder.iterdir() if (found := _COMMIT.fullmatch(path.name))}
