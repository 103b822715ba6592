"""The reader of a speed view in Redis."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from importlib.resources import files
from itertools import islice
from typing import Any, Final

from redis import Redis
from redis.exceptions import RedisError

from adapters.speed.fields import QUALITY, from_fields
from adapters.speed.port import Snapshot
from adapters.speed.snapshots import SnapshotBuilder
from core.errors import UnavailableError
from core.position import PartitionKey, Position
from core.rules import Rules

_SCRIPT: Final = files("adapters.speed").joinpath("read.lua").read_text()
#: Hashes read in one round trip before the atomic read of a reader that knows nothing yet.
_CHUNK: Final = 200


class RedisReader:
    """Reads the view `namespace`; each read transfers only what changed since the last one.

    For one thread.
    """

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._tag = f"{{{namespace}}}"
        self._script = client.register_script(_SCRIPT)
        self._builder = SnapshotBuilder()
        self._change, self._origin = "-1", "-"
        self._names: set[tuple[int, int]] = set()
        self._since = 0

    def read(self, since: int = 0) -> Snapshot:
        """See `SpeedReader.read`."""
        if since < self._since:
            # what was left out is wanted now
            self._forget()
        self._since = since
        try:
            if self._change == "-1":
                self._preload()
            answer: list[Any] = self._script(keys=[self._tag], args=[self._change, self._origin])
        except (RedisError, OSError) as error:
            raise UnavailableError(f"Redis does not answer: {error}") from error
        origin, change, floor_text, flat_positions, changed, complete = answer
        if complete:
            self._forget()
        for name, fields in _pairs(changed):
            self._take(name.decode(), fields)
        self._origin, self._change = origin.decode(), change.decode()
        floor = max(int(floor_text), since)
        self._builder.drop_below(floor)
        self._names = {name for name in self._names if name[0] >= floor}
        positions = {
            PartitionKey.parse(source.decode()): Position.decode(text.decode())
            for source, text in _pairs(flat_positions)
        }
        return self._builder.snapshot(positions, floor)

    def distinct_users(self, minutes: Iterable[int]) -> int:
        """See `SpeedReader.distinct_users`. Counts what the last `read` saw."""
        wanted = set(minutes)
        keys = [f"{self._tag}:users:{e}:{m}" for e, m in self._names if m in wanted]
        if not keys:
            return 0
        try:
            return int(self._client.pfcount(*keys))
        except (RedisError, OSError) as error:
            raise UnavailableError(f"Redis does not answer: {error}") from error

    def users_sketch(self, minutes: Iterable[int], more: Iterable[str] = ()) -> int:
        """See `SpeedReader.users_sketch`."""
        wanted = set(minutes)
        keys = [f"{self._tag}:users:{e}:{m}" for e, m in self._names if m in wanted]
        scratch = f"{self._tag}:scratch:{uuid.uuid4().hex}"
        try:
            with self._client.pipeline(transaction=True) as pipeline:
                for chunk in _chunks(more, _CHUNK):
                    pipeline.pfadd(scratch, *chunk)
                pipeline.pfcount(scratch, *keys)
                pipeline.delete(scratch)
                return int(pipeline.execute()[-2])
        except (RedisError, OSError) as error:
            raise UnavailableError(f"Redis does not answer: {error}") from error

    def rules(self) -> Rules | None:
        """See `SpeedReader.rules`."""
        try:
            text: Any = self._client.get(f"{self._tag}:rules")
        except (RedisError, OSError) as error:
            raise UnavailableError(f"Redis does not answer: {error}") from error
        return None if text is None else Rules.decode(text.decode())

    def close(self) -> None:
        """See `SpeedReader.close`."""
        self._client.close()

    def _preload(self) -> None:
        """Reads all hashes in chunks, so that the atomic read after it holds up nobody.

        What changes meanwhile has a change number above the one taken first and is read again.
        """
        self._forget()
        info: Any = self._client.info("server")
        born: Any = self._client.get(f"{self._tag}:born")
        change: Any = self._client.get(f"{self._tag}:change")
        if change is None:
            return
        found: Any = self._client.zrange(f"{self._tag}:changed", 0, -1)
        names = [name for name in found if int(name.split(b":")[0]) >= self._since]
        for start in range(0, len(names), _CHUNK):
            chunk = [name.decode() for name in names[start : start + _CHUNK]]
            pipeline = self._client.pipeline(transaction=False)
            for name in chunk:
                pipeline.hgetall(f"{self._tag}:cells:{name}")
            for name, fields in zip(chunk, pipeline.execute(), strict=True):
                self._take(name, [part for pair in fields.items() for part in pair])
        self._change = change.decode()
        self._origin = f"{info['run_id']}@{born.decode() if born else '-'}"

    def _take(self, name: str, fields: list[bytes]) -> None:
        epoch_text, minute_text = name.split(":")
        epoch = int(epoch_text)
        if epoch < self._since:
            return
        pairs = ((key.decode(), int(number)) for key, number in _pairs(fields))
        if minute_text == QUALITY:
            self._builder.set_quality(epoch, dict(pairs))
        else:
            minute = int(minute_text)
            self._builder.set_cells(epoch, minute, from_fields(minute, pairs))
            self._names.add((epoch, minute))

    def _forget(self) -> None:
        self._builder.clear()
        self._names = set()
        self._change, self._origin = "-1", "-"


def _chunks(items: Iterable[str], size: int) -> Iterable[list[str]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


def _pairs(flat: list[Any]) -> Iterable[tuple[Any, Any]]:
    items = iter(flat)
    return zip(items, items, strict=True)
