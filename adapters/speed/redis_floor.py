"""The floor of a speed view in Redis: what batch views cover expires."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from redis import Redis
from redis.exceptions import RedisError

from core.errors import UnavailableError

_SCRIPT: Final = files("adapters.speed").joinpath("floor.lua").read_text()
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
        try:
            while self._script(keys=[self._tag], args=[floor, _AT_ONCE]) == _AT_ONCE:
                pass
        except (RedisError, OSError) as error:
            raise UnavailableError(f"Redis does not answer: {error}") from error

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()
