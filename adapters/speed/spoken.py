"""Asking Redis over a blocking client: errors in words, and a new connection where the server is the wrong one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis import Redis
from redis.exceptions import RedisError

from adapters.speed.redis_errors import WrongServerError, explained


@contextmanager
def asked(client: Redis, doing: str = "answer") -> Iterator[None]:
    """Raises what an error of redis-py in it means (`adapters.speed.redis_errors`)."""
    try:
        yield
    except (RedisError, OSError) as error:
        meant = explained(error, doing)
        if isinstance(meant, WrongServerError):
            drop_connections(client)
        raise meant from error


def drop_connections(client: Redis) -> None:
    """The next command takes a new connection and looks the address up again."""
    client.connection_pool.disconnect(inuse_connections=False)
