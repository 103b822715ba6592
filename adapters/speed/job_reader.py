"""The reader of whichever job version answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from adapters.speed.jobs import JobBook
from adapters.speed.port import Job, Snapshot, SpeedReader
from core.errors import UnavailableError
from core.rules import Rules

_TRIES: Final = 20


class JobReader:
    """Each answer is wholly of one version: the one that answered when it was read. For one thread."""

    def __init__(self, book: Callable[[], JobBook], open_reader: Callable[[Job], SpeedReader]) -> None:
        """`book`: which version answers now. `open_reader`: a reader of a version's view."""
        self._book = book
        self._open = open_reader
        self._reader: SpeedReader | None = None
        self._job: Job | None = None

    def read(self, since: int = 0, *, whole: bool = True) -> Snapshot:
        """See `SpeedReader.read`."""
        for _ in range(_TRIES):
            reader, job = self._current()
            snapshot = reader.read(since, whole=whole)
            # a version that answers no more may have been half removed while it was read
            if self._still(job):
                return replace(snapshot, job=job)
        raise UnavailableError("the versions of the job change faster than they can be read: try again")

    def rules(self) -> Rules | None:
        """See `SpeedReader.rules`."""
        return self._current()[0].rules()

    def close(self) -> None:
        """See `SpeedReader.close`."""
        if self._reader is not None:
            self._reader.close()

    def _current(self) -> tuple[SpeedReader, Job]:
        job = self._book().answering
        if job is None:
            raise UnavailableError("no version of the job runs yet: is `fourfold up` (or `fourfold process`) running?")
        if self._reader is None or job != self._job:
            self.close()
            self._reader, self._job = self._open(job), job
        return self._reader, job

    def _still(self, job: Job | None) -> bool:
        return self._book().answering == job
