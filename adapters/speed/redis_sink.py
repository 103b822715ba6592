"""The writer of a speed view in Redis."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Iterable
from typing import Any, Final

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from adapters.speed.binding import check_binding, check_meaning
from adapters.speed.fields import QUALITY, CellFields
from adapters.speed.leftovers import Leftovers
from adapters.speed.port import Outcome, RefusedError, Step
from adapters.speed.redis_errors import (
    Patience,
    ReplicaError,
    UnknownNameError,
    WrongServerError,
    explained,
    foreign,
    no_master,
)
from adapters.speed.redis_server import ServerWatch
from adapters.speed.scripts import checked, script
from core.declaration.pipeline import MEANING_BEFORE, Pipeline
from core.delta import Delta
from core.errors import ConfigurationError, FourfoldError, UnavailableError
from core.position import PartitionKey, Position
from core.rules import Rules

log = structlog.get_logger(__name__)

_SCRIPT: Final = script("apply")
_pack: Final = msgspec.msgpack.Encoder().encode
#: Lua numbers are doubles: integers from here on go as text.
_EXACT_LIMIT: Final = 2**53
#: Names whose keys are looked for in one call, and in one look.
_NAMES_A_CALL: Final = 1_000
_CALLS_A_LOOK: Final = 10


class RedisSink:
    """Applies steps to the view `namespace`, exactly once each."""

    def __init__(
        self,
        client: Redis,
        namespace: str,
        pipeline: Pipeline,
        patience: Patience | None = None,
        start: str = "",
    ) -> None:
        """`start`: of the job version that this worker counts (`RedisJobs.start_of`), or ""."""
        self._client = client
        self._meaning = pipeline.meaning
        self._fields = CellFields(pipeline)
        self._tag = f"{{{namespace}}}"
        self._patience = patience or Patience()
        self._start = start
        self._server = ServerWatch(speaks=True)
        self._script = client.register_script(_SCRIPT)
        self._begin = client.register_script(script("begin"))
        self._check = client.register_script(script("check"))
        self._leftovers = Leftovers(client, self._tag)
        #: of the view as it was begun last; "" before that
        self._incarnation = ""
        self._rank = 0

    async def begin(self, rules: Rules, identity: str) -> None:
        """See `SpeedSink.begin`."""
        wanted = (rules.encode(), identity)
        await self._look()
        answer = await self._asked(
            self._begin(
                keys=[self._tag], args=[*wanted, self._meaning, MEANING_BEFORE, uuid.uuid4().hex[:12], self._start]
            )
        )
        if answer[0] == b"retired":
            raise ConfigurationError(f"the view {self._tag} was retired: nothing is counted for it any more")
        rules_text, identity_text, meaning, incarnation, lost = (part.decode() for part in answer[1:])
        check_meaning(self._tag, meaning, self._meaning)
        check_binding(self._tag, (rules_text, identity_text), wanted)
        if lost:
            log.error("Redis lost a key of the view: it is counted again from the log", view=self._tag, lost=lost)
        self._incarnation, self._rank = incarnation, 0

    async def positions(self, sources: Iterable[PartitionKey]) -> dict[PartitionKey, str | None]:
        """See `SpeedSink.positions`."""
        wanted = list(sources)
        names = [str(source) for source in wanted]
        found: list[bytes | None] = await self._asked(self._client.hmget(f"{self._tag}:positions", names))
        await self._check_readable(text for text in found if text is not None)
        return {s: None if v is None else v.decode() for s, v in zip(wanted, found, strict=True)}

    async def all_positions(self) -> dict[PartitionKey, str]:
        """See `SpeedSink.all_positions`."""
        found: dict[bytes, bytes] = await self._asked(self._client.hgetall(f"{self._tag}:positions"))
        await self._check_readable(found.values())
        return {PartitionKey.parse(k.decode()): v.decode() for k, v in found.items()}

    async def _check_readable(self, texts: Iterable[bytes]) -> None:
        """Raises `UnavailableError` where another hand wrote one: what the view holds is not known any more."""
        if not all(map(_readable, texts)):
            await self._asked(self._client.hset(f"{self._tag}:meta", "damaged", "positions"))
            raise UnavailableError(f"a position of the view {self._tag} in Redis cannot be read: it begins again")

    async def apply(self, step: Step) -> Outcome:
        """See `SpeedSink.apply`."""
        moves = [(str(move.source), move.old, move.new) for move in step.moves]
        payload = _pack(
            (moves, step.floor, self._parts(step.delta), self._incarnation, uuid.uuid4().hex[:12], self._start)
        )
        answer = await self._asked(self._script(keys=[self._tag], args=[payload]), "take a step")
        if isinstance(answer, list):
            raise await self._failed(*(part.decode(errors="replace") for part in answer[1:]))
        self._patience.well(ReplicaError)
        return Outcome(answer.split(b" ", 1)[0].decode())

    async def check(self) -> str | None:
        """See `SpeedSink.check`."""
        await self._look(every_time=False)
        for _ in range(_CALLS_A_LOOK):
            arguments: list[str | int] = [self._incarnation, self._rank, _NAMES_A_CALL]
            answer = await self._asked(self._check(keys=[self._tag], args=arguments))
            if answer[0] == b"gone":
                return "the view was emptied, or begun again by another worker"
            if answer[0] == b"damaged":
                return f"Redis lost a key of the view: {answer[1].decode(errors='replace')}"
            self._rank = answer[1]
            if answer[2]:
                await self._asked(self._leftovers.sweep())
            if not self._rank:
                break
        return None

    async def close(self) -> None:
        """See `SpeedSink.close`."""
        await self._client.aclose()

    async def _look(self, *, every_time: bool = True) -> None:
        """Asks the server what it is. Raises `ConfigurationError` where it is wrong for good, or no master."""
        if not (every_time or self._server.due):
            return
        try:
            info: dict[str, Any] = await self._asked(self._client.info())
        except ConfigurationError as error:
            if not isinstance(error.__cause__, NoPermissionError):
                raise
            info = {}
        if self._server.take(info).replica:
            raise await self._judged(no_master())
        if info:
            self._patience.well(ReplicaError)

    async def _asked(self, answer: Awaitable[Any], doing: str = "answer") -> Any:
        """The answer. Raises what its error means."""
        try:
            found = checked(await answer)
        except (RedisError, OSError) as error:
            raise await self._judged(explained(error, doing)) from error
        self._patience.well(UnknownNameError)
        return found

    async def _judged(self, error: FourfoldError) -> FourfoldError:
        if isinstance(error, WrongServerError):
            # the next try looks the address up again
            await self._client.connection_pool.disconnect(inuse_connections=False)
        return self._patience.judged(error)

    async def _failed(self, key: str, field: str, message: str) -> FourfoldError:
        """What to raise for a step that was taken back."""
        if "WRONGTYPE" in message or "INVALIDOBJ" in message:
            return foreign(key, "value of another type")
        if "overflow" in message or "not an integer" in message or "2^53" in message:
            return RefusedError(
                f"Redis cannot add a step, and nothing of it was added: {self._fields.said(key, field)} would pass what 64 bits hold, "
                f"or is no number ({message}). Begin another view with FOURFOLD_NAMESPACE, or delete the key {key}: "
                "then the view is counted again from the log"
            )
        return await self._judged(explained(ResponseError(message), "take a step"))

    def _parts(self, delta: Delta) -> list[tuple[int, int | str, list[str | int], list[str]]]:
        parts: list[tuple[int, int | str, list[str | int], list[str]]] = []
        for (epoch, minute), events in delta.minutes.items():
            # a minute has a hash, whatever it adds
            fields = self._fields.of(events.cells) or [*self._fields.nothing]
            parts.append((_place(epoch), _place(minute), _exact(fields), events.users))
        for epoch, counters in delta.quality.items():
            flat: list[str | int] = []
            for name, number in counters.items():
                flat += (name, number)
            if flat:
                parts.append((_place(epoch), QUALITY, _exact(flat), []))
        return parts


def _place(number: int) -> int:
    """An epoch or minute. Raises `RefusedError` for one that a script would round."""
    if abs(number) >= _EXACT_LIMIT:
        raise RefusedError(
            f"an epoch or minute is {number}, which no store holds exactly: a record's append time is far from now; "
            "look at the clock of the Kafka broker, and begin another view with FOURFOLD_NAMESPACE"
        )
    return number


def _exact(fields: list[str | int]) -> list[str | int]:
    return [str(f) if isinstance(f, int) and abs(f) >= _EXACT_LIMIT else f for f in fields]


def _readable(text: bytes) -> bool:
    try:
        Position.decode(text.decode())
    except ValueError:
        return False
    return True
