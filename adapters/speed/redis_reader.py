"""The reader of a speed view in Redis."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis import Redis
from redis.client import Pipeline as Commands
from redis.exceptions import NoPermissionError, ResponseError

from adapters.speed.binding import check_meaning, no_layout_before
from adapters.speed.blocks import Block, BlockName, block_of_entries
from adapters.speed.epoch_parts import EpochParts
from adapters.speed.keys import KINDS, LAYOUT, ViewKeys
from adapters.speed.merging import ALL_EPOCHS, grain_of, place_of, too_large
from adapters.speed.port import Snapshot
from adapters.speed.redis_errors import foreign, lost
from adapters.speed.redis_server import ServerWatch
from adapters.speed.spoken import asked, drop_connections
from core.cells import CellOverflowError
from core.declaration.pipeline import Pipeline
from core.errors import UnavailableError
from core.position import PartitionKey, Position
from core.rollup import BY_MINUTES, Rollup
from core.rules import Rules

#: A reader that knows nothing yet, or not enough, begins again; at most this often in one read.
_TRIES: Final = 20
#: Seconds for which it is said that a partition is counted again.
_AGAIN_S: Final = 60
_START: Final = b"0-0"
#: Where not the whole is wanted: blocks of at most this many rows are read at once, of a partition about this many rows
#: of them, and about this many rows of others with each read.
_SMALL: Final = 2_000
_ROWS_AT_ONCE: Final = 20_000
#: Epochs before the newest one whose blocks may be merged soon.
_OPEN: Final = 1
_ROWS_A_READ: Final = 100_000


@dataclass(slots=True)
class _Followed:
    """A partition as it was read: the name of its opening, and the last entry of its log."""

    opened: bytes
    last: bytes
    text: bytes | None = None
    position: Position | None = None


class RedisReader:
    """Reads the view `namespace`; each read transfers only what was added since the last one.

    For one thread.
    """

    def __init__(
        self, client: Redis, namespace: str, pipeline: Pipeline, *, by_epoch: bool = True, rollup: Rollup | None = None
    ) -> None:
        """`by_epoch`: as `EpochParts` takes it; only where epochs expire it must be. `rollup`: as of `RedisSink`."""
        self._rollup = rollup
        self._client = client
        self._keys = ViewKeys(namespace)
        self._pipeline = pipeline
        self._measures = tuple(pipeline.measures)
        self._server = ServerWatch()
        self._parts = EpochParts(self._measures, by_epoch=by_epoch)
        #: blocks whose cells are not read yet
        self._pending: list[tuple[PartitionKey, BlockName]] = []
        self._followed: dict[PartitionKey, _Followed] = {}
        self._born = b""
        self._since = 0

    def read(self, since: int = 0, *, whole: bool = True) -> Snapshot:
        """See `SpeedReader.read`."""
        if since < self._since:
            # what was left out is wanted now
            self._forget()
        self._since = since
        with asked(self._client):
            self._look()
            for _ in range(_TRIES):
                try:
                    snapshot = self._read(whole=whole)
                except ResponseError as error:
                    if "WRONGTYPE" not in str(error):
                        raise
                    raise self._wrong_type() from error
                except CellOverflowError as error:
                    self._forget()
                    raise too_large(error.where) from error
                if snapshot is not None:
                    return snapshot
        raise UnavailableError(f"the view {self._keys} changes faster than it can be read: try again")

    def rules(self) -> Rules | None:
        """See `SpeedReader.rules`."""
        with asked(self._client):
            text: Any = self._client.hget(self._keys.view, "rules")
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
        except NoPermissionError:
            info = {}
        if self._server.take(info).replica:
            # the master may be at this address by now
            drop_connections(self._client)

    def _read(self, *, whole: bool) -> Snapshot | None:
        """One try; None where something changed that has to be read first."""
        if not self._load_cells(whole=whole):
            return None
        known = list(self._followed.items())
        with self._client.pipeline(transaction=True) as commands:
            commands.hgetall(self._keys.view)
            for partition, followed in known:
                self._ask(commands, partition, followed.last)
            view, *answers = commands.execute()
        partitions = self._partitions(view)
        if view.get(b"born") != self._born:
            self._forget()
            self._born = view.get(b"born", b"")
            known, answers = [], []
        if not self._followed.keys() <= set(partitions):
            # it was emptied and begun again, and has not opened all of them yet
            self._forget()
            return None
        if set(partitions) != self._followed.keys():
            for partition in partitions:
                # those that are read go on meanwhile: their logs are trimmed some time after they are merged
                there = partition in self._followed
                if not there and not (self._load(partition, whole=whole) and self._follow()):
                    return None
            return None
        answered = [answers[at : at + 5] for at in range(0, len(answers), 5)]
        return self._picture(known, answered) if self._advance(known, answered) else None

    def _follow(self) -> bool:
        """Adds what was added to the partitions that are followed; False where all has to be read again."""
        known = list(self._followed.items())
        with self._client.pipeline(transaction=True) as commands:
            for partition, followed in known:
                self._ask(commands, partition, followed.last)
            answers = commands.execute()
        return self._advance(known, [answers[at : at + 5] for at in range(0, len(answers), 5)])

    def _ask(self, commands: Commands, partition: PartitionKey, after: bytes) -> None:
        keys = self._keys.of(partition)
        commands.hgetall(keys.state)
        commands.xlen(keys.log)
        commands.hlen(keys.totals)
        commands.hlen(keys.blocks)
        commands.xrange(keys.log, b"(" + after)

    def _advance(self, known: Sequence[tuple[PartitionKey, _Followed]], answers: Sequence[Sequence[Any]]) -> bool:
        """Adds what partitions answered; False where all has to be read again, and is forgotten."""
        new: list[Mapping[bytes, bytes]] = []
        for (partition, followed), (state, *numbers, entries) in zip(known, answers, strict=True):
            self._check(partition, state, numbers)
            follows = entries[0][1].get(b"p") if entries else state[b"last"]
            if state[b"opened"] != followed.opened or follows != followed.last:
                # it was opened again, or Redis came back with older data, or more was merged than the log keeps
                self._forget()
                return False
            new += [entry for _, entry in entries]
            followed.last = state[b"last"]
        for epoch, block in self._blocks(known, new).items():
            if epoch >= self._since:
                self._parts.add(epoch, block)
        return True

    def _picture(self, known: Sequence[tuple[PartitionKey, _Followed]], answers: Sequence[Sequence[Any]]) -> Snapshot:
        """The picture of now. Partitions that were just read have nothing to add."""
        floor, again = self._since, []
        grain = BY_MINUTES
        positions: dict[PartitionKey, Position] = {}
        for (partition, followed), (state, *_) in zip(known, answers, strict=True):
            floor = max(floor, int(state[b"floor"]))
            again += self._counted_again(state)
            grain = grain.coarser(grain_of(state))
            position = self._position(partition, followed, state)
            if position is not None:
                positions[partition] = position
        self._parts.drop_below(floor)
        if self._rollup is not None:
            newest = max((position.newest_ms for position in positions.values()), default=0)
            self._parts.roll(self._rollup.grain(newest).coarser(grain))
        self._pending = [(partition, name) for partition, name in self._pending if name.last >= floor]
        rows = sum(name.rows for _, name in self._pending)
        loading = f"{rows:,} cells of the speed view are still to be read: try again in a second" if rows else ""
        return self._parts.snapshot(positions, floor, (*self._server.health.states, *dict.fromkeys(again)), loading)

    def _blocks(
        self, known: Sequence[tuple[PartitionKey, _Followed]], new: list[Mapping[bytes, bytes]]
    ) -> dict[int, Block]:
        try:
            return block_of_entries(new, self._measures)
        except ValueError as error:
            self._forget()
            logs = ", ".join(self._keys.of(partition).log for partition, _ in known)
            raise foreign(logs, f"entry that does not belong to a view ({error})") from error

    def _load(self, partition: PartitionKey, *, whole: bool) -> bool:
        """Reads all of a partition; where not the `whole` is wanted, of large blocks the sums alone. False: try again."""
        keys = self._keys.of(partition)
        listed: Any = self._client.hkeys(keys.blocks)
        names = {field: self._name(field) for field in listed}
        chosen = [field for field in listed if names[field].last >= self._since] if whole else _at_once(names)
        with self._client.pipeline(transaction=True) as commands:
            self._ask(commands, partition, _START)
            commands.hgetall(keys.totals)
            commands.hkeys(keys.blocks)
            for field in chosen:
                commands.hget(keys.blocks, field)
            state, *numbers, entries = (answers := commands.execute())[:5]
        totals, fields, *blocks = answers[5:]
        self._check(partition, state, numbers)
        if set(fields) != set(listed):
            # merged just now: the next try has them
            return False
        for field, data in totals.items() if not whole else ():
            epoch = 0 if field == ALL_EPOCHS.encode() else int(field)
            self._parts.add_totals(epoch, self._block(keys.totals, data))
        for field, data in zip(chosen, blocks, strict=True):
            name = names[field]
            self._parts.add_range(name.first, name.last, self._block(keys.blocks, data), totals=whole)
        if not whole:
            self._pending += [(partition, names[field]) for field in listed if field not in set(chosen)]
            # the newest are read first: they are asked for most, and merged soonest
            self._pending.sort(key=lambda each: (each[1].last, each[1]))
        if entries and entries[-1][0] != state[b"last"]:
            self._forget()
            raise lost(str(self._keys), f"log of {partition}")
        merged = place_of(state[b"merged"])
        after = [entry for number, entry in entries if place_of(number) > merged]
        followed = _Followed(state[b"opened"], state[b"last"])
        for epoch, block in self._blocks([(partition, followed)], after).items():
            self._parts.add(epoch, block)
        self._followed[partition] = followed
        return True

    def _load_cells(self, *, whole: bool) -> bool:
        """Reads cells of blocks of which only the sums were read: about `_ROWS_A_READ`, or all. False where one is gone."""
        left = float("inf") if whole else _ROWS_A_READ
        while self._pending and left > 0:
            partition, name = self._pending[-1]
            key = self._keys.of(partition).blocks
            data: Any = self._client.hget(key, str(name))
            if data is None:
                # it was merged with others, or it is lost: all is read again
                self._forget()
                return False
            block = self._block(key, data)
            self._pending.pop()
            self._parts.add_range(name.first, name.last, block, totals=False)
            left -= name.rows
        return True

    def _name(self, field: bytes) -> BlockName:
        try:
            return BlockName.parse(field.decode())
        except ValueError as error:
            self._forget()
            raise lost(str(self._keys), f"blocks: {error}") from error

    def _block(self, key: str, data: bytes) -> Block:
        try:
            return Block.unpack(data, self._measures)
        except ValueError as error:
            self._forget()
            raise foreign(key, f"field that does not belong to a view ({error})") from error

    def _partitions(self, view: Mapping[bytes, bytes]) -> list[PartitionKey]:
        """Those of a view. Raises where it is not whole, or another Fourfold's."""
        if not view:
            if self._client.exists(*self._keys.before):
                raise no_layout_before(str(self._keys))
            firsts = [self._keys.of(PartitionKey(topic, 0)).state for topic in self._pipeline.topics]
            if self._client.exists(*firsts):
                self._forget()
                raise lost(str(self._keys), "view")
            return []
        if view.get(b"layout", LAYOUT.encode()) != LAYOUT.encode():
            raise no_layout_before(str(self._keys))
        partitions = self._keys.partitions_of(view)
        if not {b"layout", b"born", b"meaning"} <= view.keys() or view.get(b"partitions") != b"%d" % len(partitions):
            self._forget()
            raise lost(str(self._keys), "view")
        check_meaning(str(self._keys), view[b"meaning"].decode(), self._pipeline.meaning)
        return partitions

    def _check(self, partition: PartitionKey, state: Mapping[bytes, bytes], numbers: Sequence[int]) -> None:
        """Raises `UnavailableError` where a key of a partition is missing, or a part of one."""
        wanted = (state.get(b"entries"), state.get(b"totals"), state.get(b"blocks"))
        missing = state.get(b"damaged", b"").decode(errors="replace")
        if not missing and not {b"opened", b"born", b"merged", b"last", b"floor"} <= state.keys():
            missing = "state"
        for name, number, there in zip(("log", "totals", "blocks"), wanted, numbers, strict=True):
            if not missing and number != b"%d" % there:
                missing = name
        if not missing and state[b"born"] != self._born:
            missing = "state"
        if missing:
            self._forget()
            raise lost(str(self._keys), f"{missing} of {partition}")

    def _position(self, partition: PartitionKey, followed: _Followed, state: Mapping[bytes, bytes]) -> Position | None:
        text = state.get(b"position")
        if text != followed.text:
            try:
                followed.position = None if text is None else Position.decode(text.decode())
            except ValueError as error:
                self._forget()
                raise lost(str(self._keys), f"position of {partition}, which cannot be read: {error}") from error
            followed.text = text
        return followed.position

    @staticmethod
    def _counted_again(state: Mapping[bytes, bytes]) -> list[str]:
        at, _, key = state.get(b"again", b"").decode(errors="replace").partition(" ")
        # the server's clock and this one's may differ by seconds
        if at.isdigit() and time.time() - int(at) < _AGAIN_S:
            return [f"Redis lost {key}: counted again from the log"]
        return []

    def _wrong_type(self) -> Exception:
        """The error for the key of another type, which is looked for."""
        fields: Any = []
        kind: Any = self._client.type(self._keys.view)
        if kind == b"hash":
            fields = self._client.hkeys(self._keys.view)
        partitions = self._keys.partitions_of(fields)
        for key in [self._keys.view, *(key for partition in partitions for key in self._keys.of(partition))]:
            kind = self._client.type(key)
            if kind not in (b"none", KINDS[key.rsplit(":", 1)[-1]]):
                return foreign(key, kind.decode())
        return foreign(f"{self._keys}…", "value of another type")

    def _forget(self) -> None:
        self._parts.clear()
        self._followed = {}
        self._pending = []
        self._born = b""


def _at_once(names: Mapping[bytes, BlockName]) -> list[bytes]:
    """The blocks that are read with the sums: those of the newest epochs, which are merged soon, and small ones."""
    newest = max((name.last for name in names.values()), default=0)
    chosen, left = [], _ROWS_AT_ONCE
    for field in sorted(names, key=lambda field: names[field].last, reverse=True):
        name = names[field]
        if name.last >= newest - _OPEN:
            chosen.append(field)
        elif name.rows <= min(_SMALL, left):
            chosen.append(field)
            left -= name.rows
    return chosen
