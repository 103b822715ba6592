"""The line of a server's log that says why it died."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

TAIL_BYTES: Final = 64 * 1024
#: Kafka's word for it, the head of a Java stack trace (which says more), the JVM's own complaints before there is a
#: log, and the sign that Redis puts before warnings, which its fatal errors are.
_COMPLAINT: Final = re.compile(r"\b(ERROR|FATAL)\b|^(Caused by: )?[\w.$]+(Exception|Error)\b|^Error\b| # ")


def last_complaint(logs: Sequence[tuple[Path, int]]) -> str | None:
    """The last line about an error in the first log that has one, else the last line of any, else None.

    logs: files, each with the size it had before the start, so that older errors are not mistaken for the cause.
    """
    tails = [_lines(path, offset) for path, offset in logs]
    for lines in tails:
        for line in reversed(lines):
            if _COMPLAINT.search(line):
                return line
    return next((lines[-1] for lines in tails if lines), None)


def size(path: Path) -> int:
    """Size in bytes, 0 for a file that does not exist."""
    return path.stat().st_size if path.exists() else 0


def _lines(path: Path, offset: int) -> list[str]:
    end = size(path)
    if end == 0:
        return []
    # A file that became smaller was rolled over: all of it is new.
    begin = max(offset if offset <= end else 0, end - TAIL_BYTES)
    with path.open("rb") as log:
        log.seek(begin, os.SEEK_SET)
        text = log.read().decode(errors="replace")
    return [line.strip() for line in text.splitlines() if line.strip()]
