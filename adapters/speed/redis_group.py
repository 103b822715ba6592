"""The consumer group of a speed view in Redis: a view that is another one has another group."""

from __future__ import annotations

import secrets
from typing import Any, Final

from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from adapters.speed.redis_sink import RedisSink
from adapters.speed.spoken import asked
from core.declaration.pipeline import Pipeline
from core.errors import FourfoldError, UnavailableError
from core.rollup import Rollup
from core.rules import Rules

_BYTES: Final = 4


class RegroupedError(FourfoldError):
    """The view is counted in another consumer group by now: a worker has to start again, in that one."""


class RedisGroup:
    """Gives the view `namespace` a random token, with which the name of its consumer group ends.

    Workers of one group share the log, so a group must belong to one view. Names of views repeat: two people count the same
    log, in a Redis each or in two of its databases. So each view is given a token once, and keeps it in its Redis.
    """

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._key = _key(namespace)

    def token(self) -> str:
        """The view's token; made now where there is none.

        Raises `UnavailableError` where Redis is away, `ConfigurationError` where it refuses for good.
        """
        with asked(self._client):
            # mostly it is there, and whoever only reads needs no writable Redis
            found: Any = self._client.get(self._key)
            if found is None:
                self._client.set(self._key, secrets.token_hex(_BYTES), nx=True)
                found = self._client.get(self._key)
        if found is None:
            raise UnavailableError("Redis was emptied just now")
        token: str = found.decode()
        return token

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()


class GroupedSink(RedisSink):
    """A writer that is in the consumer group of its view's token, and minds that it stays the only one."""

    def __init__(
        self,
        client: AsyncRedis,
        namespace: str,
        pipeline: Pipeline,
        token: str,
        start: str = "",
        *,
        rollup: Rollup | None = None,
    ) -> None:
        """`start`, `rollup`: as of `RedisSink`."""
        super().__init__(client, namespace, pipeline, start=start, rollup=rollup)
        self._token_key = _key(namespace)
        self._token = token

    async def begin(self, rules: Rules, identity: str) -> None:
        """See `SpeedSink.begin`. Writes the token back where Redis has lost it.

        Raises `RegroupedError` where another one was made meanwhile.
        """
        await super().begin(rules, identity)
        if not self._token:
            return
        await self._asked(self._client.set(self._token_key, self._token, nx=True))
        found = await self._asked(self._client.get(self._token_key))
        if found is not None and found.decode() != self._token:
            raise RegroupedError(
                "Redis lost data, and the view has another consumer group since then: starting again in that one"
            )


def _key(namespace: str) -> str:
    # not among the view's own keys, which are lost and made anew with its counts
    return f"group:{{{namespace}}}"
