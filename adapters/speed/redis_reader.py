"""The reader of a speed view in Redis."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from redis import Redis
from redis.exceptions import NoPermissionError

from adapters.speed.binding import check_meaning
from adapters.speed.fields import FIELDS, QUALITY, CellFields
from adapters.speed.port import Snapshot
from adapters.speed.redis_errors import foreign, lost
from adapters.speed.redis_server import ServerWatch
from adapters.speed.scripts import checked, script
from adapters.speed.snapshots import SnapshotBuilder
from adapters.speed.spoken import asked, drop_connections
from core.declaration.pipeline import Pipeline
from core.position import PartitionKey, Position
from core.rules import Rules

_SCRIPT: Final = script("read")
#: Hashes read in one round trip before the atomic read of a reader that knows nothing yet.
_CHUNK: Final = 200


class RedisReader:
    """Reads the view `namespace`; each read transfers only what changed since the last one.

    For one thread.
    """

    def __init__(self, client: Redis, namespace: str, pipeline: Pipeline) -> None:
        self._client = client
        self._tag = f"{{{namespace}}}"
        self._meaning = pipeline.meaning
        self._fields = CellFields(pipeline)
        self._script = client.register_script(_SCRIPT)
        self._server = ServerWatch()
        #: whether INFO is allowed
        self._may_look = True
        self._builder = SnapshotBuilder()
        self._change, self._origin = "-1", "-"
        self._names: set[tuple[int, int]] = set()
        #: names whose hash was not there when they were read one by one
        self._missing: set[str] = set()
        self._since = 0

    def read(self, since: int = 0) -> Snapshot:
        """See `SpeedReader.read`."""
        if since < self._since:
            # what was left out is wanted now
            self._forget()
        self._since = since
        with asked(self._client):
            self._look()
            if self._change == "-1":
                self._preload()
            answer: list[Any] = checked(self._read())
        if answer[0] == b"damaged":
            self._forget()
            raise lost(self._tag, answer[1].decode(errors="replace"))
        origin, change, floor_text, flat_positions, changed, complete, again = answer
        if complete:
            self._forget()
        for name, fields in _pairs(changed):
            self._missing.discard(name.decode())
            self._take(name.decode(), fields)
        for name in self._missing:
            if int(name.split(":")[0]) >= int(floor_text):
                self._forget()
                raise lost(self._tag, f"cells:{name}")
        self._missing.clear()
        self._origin, self._change = origin.decode(), change.decode()
        floor = max(int(floor_text), since)
        self._builder.drop_below(floor)
        self._names = {name for name in self._names if name[0] >= floor}
        snapshot = self._builder.snapshot(self._positions(flat_positions), floor)
        states = list(self._server.health.states)
        if again:
            states.append(f"Redis lost {again.decode(errors='replace')}: counted again from the log")
        return replace(snapshot, states=tuple(states)) if states else snapshot

    def distinct_users(self, minutes: Iterable[int]) -> int:
        """See `SpeedReader.distinct_users`. Counts what the last `read` saw."""
        wanted = set(minutes)
        keys = self._sketches(wanted)
        if not keys:
            return 0
        with asked(self._client), self._client.pipeline(transaction=True) as pipeline:
            pipeline.exists(*keys)
            pipeline.pfcount(*keys)
            found, number = pipeline.execute()
        self._check_sketches(found, keys)
        return int(number)

    def users_sketch(self, minutes: Iterable[int], more: Iterable[str] = ()) -> int:
        """See `SpeedReader.users_sketch`."""
        keys = self._sketches(set(minutes))
        scratch = f"{self._tag}:scratch:{uuid.uuid4().hex}"
        with asked(self._client), self._client.pipeline(transaction=True) as pipeline:
            for chunk in _chunks(more, _CHUNK):
                pipeline.pfadd(scratch, *chunk)
            pipeline.exists(scratch, *keys)
            pipeline.pfcount(scratch, *keys)
            pipeline.delete(scratch)
            *added, found, number, _ = pipeline.execute()
        self._check_sketches(found - bool(added), keys)
        return int(number)

    def rules(self) -> Rules | None:
        """See `SpeedReader.rules`."""
        with asked(self._client):
            text: Any = self._client.hget(f"{self._tag}:meta", "rules")
        return None if text is None else Rules.decode(text.decode())

    def close(self) -> None:
        """See `SpeedReader.close`."""
        self._client.close()

    def _look(self) -> None:
        """Asks the server what it is, now and then. Raises `ConfigurationError` where it is wrong for good."""
        if not self._server.due:
            return
        try:
            info: Mapping[str, Any] = self._client.info()
            self._may_look = True
        except NoPermissionError:
            info, self._may_look = {}, False
        if self._server.take(info).replica:
            # the master may be at this address by now
            drop_connections(self._client)

    def _read(self) -> Any:
        if self._may_look:
            return self._script(keys=[self._tag], args=[self._change, self._origin])
        # nobody says whether this is still the process that was read before: all of it, each time
        return self._script(keys=[self._tag], args=["-1", "-"])

    def _positions(self, flat: list[Any]) -> dict[PartitionKey, Position]:
        try:
            return {PartitionKey.parse(s.decode()): Position.decode(text.decode()) for s, text in _pairs(flat)}
        except ValueError as error:
            self._forget()
            raise lost(self._tag, f"positions, where one cannot be read: {error}") from error

    def _sketches(self, minutes: set[int]) -> list[str]:
        return [f"{self._tag}:users:{e}:{m}" for e, m in self._names if m in minutes]

    def _check_sketches(self, found: int, keys: list[str]) -> None:
        """A sketch that is not there has expired since the last read, or was lost: then `UnavailableError`."""
        if found == len(keys):
            return
        with asked(self._client):
            for key in keys:
                name = key.removeprefix(f"{self._tag}:users:")
                if self._client.zscore(f"{self._tag}:epochs", name) is not None and not self._client.exists(key):
                    raise lost(self._tag, key)

    def _preload(self) -> None:
        """Reads all hashes in chunks, so that the atomic read after it holds up nobody.

        What changes meanwhile has a change number above the one taken first and is read again.
        """
        self._forget()
        if not self._may_look:
            return
        run: Any = self._client.info("server")["run_id"]
        account: Any = self._client.hmget(f"{self._tag}:meta", "born", "change", "meaning")
        born, change, meaning = account
        if born is not None:
            check_meaning(self._tag, "" if meaning is None else meaning.decode(), self._meaning)
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
                if fields:
                    self._take(name, [part for pair in fields.items() for part in pair])
                else:
                    # it has expired, or was lost: the floor tells which
                    self._missing.add(name)
        self._change = change.decode()
        self._origin = f"{run}@{born.decode() if born else '-'}"

    def _take(self, name: str, fields: list[bytes]) -> None:
        epoch_text, minute_text = name.split(":")
        epoch = int(epoch_text)
        if epoch < self._since:
            return
        found = dict(_pairs(fields))
        # none in one that was written before fields were counted
        there = found.pop(FIELDS.encode(), None)
        if there is not None and there != b"%d" % (len(found) + 1):
            self._forget()
            raise lost(self._tag, f"a field of cells:{name}")
        try:
            self._keep(epoch, minute_text, {key.decode(): int(number) for key, number in found.items()})
        except (ValueError, KeyError, IndexError) as error:
            self._forget()
            raise foreign(f"{self._tag}:cells:{name}", f"field that does not belong to a view ({error})") from error

    def _keep(self, epoch: int, minute_text: str, numbers: dict[str, int]) -> None:
        if minute_text == QUALITY:
            self._builder.set_quality(epoch, numbers)
        else:
            minute = int(minute_text)
            self._builder.set_cells(epoch, minute, self._fields.cells(minute, numbers.items()))
            self._names.add((epoch, minute))

    def _forget(self) -> None:
        self._builder.clear()
        self._names = set()
        self._missing.clear()
        self._change, self._origin = "-1", "-"


def _chunks(items: Iterable[str], size: int) -> Iterable[list[str]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


def _pairs(flat: list[Any]) -> Iterable[tuple[Any, Any]]:
    items = iter(flat)
    return zip(items, items, strict=True)
