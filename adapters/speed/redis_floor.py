"""The floor of a speed view in Redis: what batch views cover expires."""

from __future__ import annotations

from typing import Final

from redis import Redis

from adapters.speed.scripts import checked, script
from adapters.speed.spoken import asked

_SCRIPT: Final = script("floor")
#: Hashes removed in one call, so that workers do not wait.
_AT_ONCE: Final = 200


class RedisFloor:
    """Raises the floor of the view `namespace`."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._tag = f"{{{namespace}}}"
        self._script = client.register_script(_SCRIPT)

    def raise_floor(self, floor: int) -> None:
        """See `SpeedFloor.raise_floor`."""
        with asked(self._client):
            while checked(self._script(keys=[self._tag], args=[floor, _AT_ONCE])) == _AT_ONCE:
                pass

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()
