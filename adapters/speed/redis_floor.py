"""The floor of a speed view in Redis: what batch views cover expires."""

from __future__ import annotations

from typing import Any

from redis import Redis

from adapters.speed.keys import ViewKeys
from adapters.speed.scripts import script
from adapters.speed.spoken import asked


class RedisFloor:
    """Raises the floor of the view `namespace`."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._keys = ViewKeys(namespace)
        self._script = client.register_script(script("floor"))

    def raise_floor(self, floor: int) -> None:
        """See `SpeedFloor.raise_floor`. A partition that is opened later has its epochs left out by readers all the same."""
        with asked(self._client):
            fields: Any = self._client.hkeys(self._keys.view)
            for partition in self._keys.partitions_of(fields):
                self._script(keys=[*self._keys.of(partition)], args=[floor])

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()
