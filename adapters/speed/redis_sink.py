"""The writer of a speed view in Redis."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from typing import Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from adapters.speed.binding import check_binding
from adapters.speed.fields import QUALITY, to_fields
from adapters.speed.port import Outcome, Step
from core.delta import Delta
from core.errors import ConfigurationError, UnavailableError
from core.position import PartitionKey
from core.rules import Rules

_SCRIPT: Final = files("adapters.speed").joinpath("apply.lua").read_text()
_pack: Final = msgspec.msgpack.Encoder().encode
#: Lua numbers are doubles: integers from here on go as text.
_EXACT_LIMIT: Final = 2**53


class RedisSink:
    """Applies steps to the view `namespace`, exactly once each."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._tag = f"{{{namespace}}}"
        self._script = client.register_script(_SCRIPT)

    async def begin(self, rules: Rules, identity: str) -> None:
        """See `SpeedSink.begin`."""
        wanted = (rules.encode(), identity)
        keys = (f"{self._tag}:rules", f"{self._tag}:log")
        try:
            async with self._client.pipeline(transaction=True) as pipeline:
                for key, text in zip(keys, wanted, strict=True):
                    pipeline.set(key, text, nx=True)
                await pipeline.execute()
            found: list[bytes | None] = await self._client.mget(*keys, f"{self._tag}:retired")  # type: ignore[assignment]
            if found[-1] is not None:
                await self._client.delete(*keys)
        except (RedisError, OSError) as error:
            raise UnavailableError(f"Redis does not answer: {error}") from error
        rules_text, log_text, retired = found
        if retired is not None:
            raise ConfigurationError(f"the view {self._tag} was retired: nothing is counted for it any more")
        if rules_text is None or log_text is None:
            raise UnavailableError("Redis was emptied just now")
        check_binding(self._tag, (rules_text.decode(), log_text.decode()), wanted)

    async def positions(self, sources: Iterable[PartitionKey]) -> dict[PartitionKey, str | None]:
        """See `SpeedSink.positions`."""
        wanted = list(sources)
        try:
            names = [str(source) for source in wanted]
            found: list[bytes | None] = await self._client.hmget(f"{self._tag}:positions", names)  # type: ignore[assignment]
        except (RedisError, OSError) as error:
            raise UnavailableError(f"Redis does not answer: {error}") from error
        return {s: None if v is None else v.decode() for s, v in zip(wanted, found, strict=True)}

    async def all_positions(self) -> dict[PartitionKey, str]:
        """See `SpeedSink.all_positions`."""
        try:
            found: dict[bytes, bytes] = await self._client.hgetall(f"{self._tag}:positions")  # type: ignore[assignment]
        except (RedisError, OSError) as error:
            raise UnavailableError(f"Redis does not answer: {error}") from error
        return {PartitionKey.parse(k.decode()): v.decode() for k, v in found.items()}

    async def apply(self, step: Step) -> Outcome:
        """See `SpeedSink.apply`."""
        moves = [(str(move.source), move.old, move.new) for move in step.moves]
        payload = _pack((moves, step.floor, _parts(step.delta)))
        try:
            answer: bytes = await self._script(keys=[self._tag], args=[payload])
        except (RedisError, OSError) as error:
            raise UnavailableError(f"Redis does not take a step: {error}") from error
        return Outcome(answer.split(b" ", 1)[0].decode())

    async def close(self) -> None:
        """See `SpeedSink.close`."""
        await self._client.aclose()


def _parts(delta: Delta) -> list[tuple[int, int | str, list[str | int], list[str]]]:
    parts: list[tuple[int, int | str, list[str | int], list[str]]] = []
    for (epoch, minute), events in delta.minutes.items():
        fields = to_fields(events.cells)
        parts.append((epoch, minute, _exact(fields), events.users))
    for epoch, counters in delta.quality.items():
        flat: list[str | int] = []
        for name, number in counters.items():
            flat += (name, number)
        parts.append((epoch, QUALITY, flat, []))
    return parts


def _exact(fields: list[str | int]) -> list[str | int]:
    return [str(f) if isinstance(f, int) and f >= _EXACT_LIMIT else f for f in fields]
