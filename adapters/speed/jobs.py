"""Job versions: the speed views that exist side by side in a mode that reprocesses, and which one answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from redis import Redis
from redis.client import Pipeline

from adapters.speed.keys import ViewKeys, view_of
from adapters.speed.port import Job
from adapters.speed.spoken import asked
from core.errors import ConfigurationError
from core.position import PartitionKey, Position

#: The version that there is before anything was reprocessed.
FIRST: Final = "v1"
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,16}")
_ACTIVE, _PREVIOUS, _JOB = "active", "previous", "job:"
#: Keys removed in one call, so that workers do not wait.
_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class JobBook:
    """The versions by name, the one that answers, and the one that answered before it ("" for none)."""

    jobs: Mapping[str, Job] = field(default_factory=dict)
    active: str = ""
    previous: str = ""

    @property
    def answering(self) -> Job | None:
        """The version that answers; None before there is any."""
        return self.jobs.get(self.active)


class RedisJobs:
    """The registry of the versions of the view `namespace`. Every change is one atomic step.

    Methods raise `UnavailableError` where Redis is away, and `ConfigurationError` for what cannot be done.
    """

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._key = f"{{{namespace}}}:jobs"

    def read(self) -> JobBook:
        """All of it, at one instant."""
        with asked(self._client):
            return _book(self._client.hgetall(self._key))

    def ensure(self, job: Job) -> JobBook:
        """Registers the first version, which answers, where there is none; the book after it."""

        def change(book: JobBook) -> dict[str, str]:
            return {} if book.jobs else {_JOB + job.name: _text(job), _ACTIVE: job.name}

        return self._change(change)

    def restore(self, known: JobBook) -> JobBook:
        """Writes back a book that the store has lost, or lost a part of; one that is whole stands."""

        def change(book: JobBook) -> dict[str, str]:
            if (book.jobs and book.answering) or not known.jobs:
                return {}
            if known.active in book.jobs:
                # the versions are there: which one answers is lost
                return {_ACTIVE: known.active, _PREVIOUS: known.previous if known.previous in book.jobs else ""}
            jobs = {_JOB + job.name: _text(job) for job in known.jobs.values()}
            return {**jobs, _ACTIVE: known.active, _PREVIOUS: known.previous}

        return self._change(change)

    def start(self, job: Job) -> JobBook:
        """Registers a further version, which workers begin to count for."""
        if not _NAME.fullmatch(job.name):
            raise ConfigurationError(f"{job.name!r} is no name of a version: use up to 16 letters, digits, - and _")

        def change(book: JobBook) -> dict[str, str]:
            if job.name in book.jobs:
                raise ConfigurationError(
                    f"there is a version {job.name} already (logic {book.jobs[job.name].logic}): take another name, "
                    f"or `fourfold replay retire {job.name}` first"
                )
            return {_JOB + job.name: _text(job)}

        book = self._change(change)
        self._begin(job)
        return book

    def switch(self, name: str) -> JobBook:
        """From now on this version answers."""

        def change(book: JobBook) -> dict[str, str]:
            if name not in book.jobs:
                raise no_version(name, book)
            return {} if name == book.active else {_ACTIVE: name, _PREVIOUS: book.active}

        return self._change(change)

    def rollback(self) -> JobBook:
        """The version that answered before answers again."""

        def change(book: JobBook) -> dict[str, str]:
            if book.previous not in book.jobs:
                raise ConfigurationError("there is no version to go back to: none answered before, or it is retired")
            return {_ACTIVE: book.previous, _PREVIOUS: book.active}

        return self._change(change)

    def retire(self, name: str) -> JobBook:
        """Takes a version off the book and removes its view. Safe to repeat after a kill."""

        def change(book: JobBook) -> dict[str, str | None]:
            if name == book.active:
                raise ConfigurationError(f"{name} answers now: switch to another version first")
            if name not in book.jobs and not self._exists(name):
                raise no_version(name, book)
            return {_JOB + name: None} | ({_PREVIOUS: ""} if name == book.previous else {})

        book = self._change(change)
        self._remove(self.view(name))
        return book

    def view(self, name: str) -> str:
        """The name of a version's speed view."""
        return view_of(self._namespace, name)

    def start_of(self, name: str) -> str:
        """What tells this version from others that had its name; or "" if it is not registered."""
        job = self.read().jobs.get(name)
        return "" if job is None else _start(job)

    def positions(self, name: str) -> dict[PartitionKey, Position]:
        """How far a version has counted."""
        return positions_of(self._client, self.view(name))

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()

    def _change(self, change: Any) -> JobBook:
        """Reads, decides, and writes if nothing changed meanwhile; otherwise all of it again."""
        after = JobBook()

        def transaction(pipeline: Pipeline) -> None:
            nonlocal after
            found: Any = pipeline.hgetall(self._key)
            fields: dict[str, str | None] = change(_book(found))
            pipeline.multi()
            for name, text in fields.items():
                if text is None:
                    pipeline.hdel(self._key, name)
                else:
                    pipeline.hset(self._key, name, text)
            kept = {k.decode(): v.decode() for k, v in found.items()} | fields
            after = _book({k.encode(): v.encode() for k, v in kept.items() if v is not None})

        with asked(self._client):
            self._client.transaction(transaction, self._key)
        return after

    def _exists(self, name: str) -> bool:
        with asked(self._client):
            keys = ViewKeys(self.view(name))
            found = (key.decode() for pattern in keys.patterns() for key in self._client.scan_iter(pattern, count=1000))
            return any(key not in (keys.retired, keys.started) for key in found)

    def _begin(self, job: Job) -> None:
        """Lets workers of this version count, and none of an earlier one that had its name."""
        keys = ViewKeys(self.view(job.name))
        with asked(self._client), self._client.pipeline() as step:
            step.set(keys.started, _start(job))
            step.delete(keys.retired)
            step.execute()

    def _remove(self, view: str) -> None:
        keys = ViewKeys(view)
        with asked(self._client):
            # from here on no worker begins it, and those that have begun it find their partitions gone
            self._client.set(keys.retired, 1)
            for pattern in keys.patterns():
                found: list[bytes] = []
                for key in self._client.scan_iter(pattern, count=1000):
                    if key != keys.retired.encode():
                        found.append(key)
                    if len(found) >= _AT_ONCE:
                        self._client.unlink(*found)
                        found.clear()
                if found:
                    self._client.unlink(*found)


def positions_of(client: Redis, view: str) -> dict[PartitionKey, Position]:
    """How far each partition of a view is counted. Raises as `asked`."""
    keys = ViewKeys(view)
    with asked(client):
        fields: Any = client.hkeys(keys.view)
        partitions = keys.partitions_of(fields)
        with client.pipeline(transaction=False) as commands:
            for partition in partitions:
                commands.hget(keys.of(partition).state, "position")
            texts: list[bytes | None] = commands.execute()
    return {p: Position.decode(text.decode()) for p, text in zip(partitions, texts, strict=True) if text is not None}


def _start(job: Job) -> str:
    return str(job.created_ms)


def no_version(name: str, book: JobBook) -> ConfigurationError:
    """The error for a version that is not in the book."""
    there = f"there are {', '.join(book.jobs)}" if book.jobs else "there are none: is `fourfold up` running?"
    return ConfigurationError(f"there is no version {name!r}: {there}")


def _book(found: Any) -> JobBook:
    fields: dict[str, str] = {name.decode(): text.decode() for name, text in found.items()}
    jobs = [msgspec.json.decode(text, type=Job) for name, text in fields.items() if name.startswith(_JOB)]
    return JobBook(
        {job.name: job for job in sorted(jobs, key=lambda job: (job.created_ms, job.name))},
        fields.get(_ACTIVE, ""),
        fields.get(_PREVIOUS, ""),
    )


def _text(job: Job) -> str:
    return msgspec.json.encode(job).decode()
