"""What incarnations of a view that are gone have left in Redis."""

from __future__ import annotations

from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from adapters.speed.scripts import script

#: Keys of the whole server that are looked at in one sweep.
_KEYS_A_SCAN: Final = 1_000
_SCANS_A_SWEEP: Final = 10


class Leftovers:
    """Looks through the server for hashes and sketches that the view `tag` does not know, some at a time."""

    def __init__(self, client: Redis, tag: str) -> None:
        self._client = client
        self._tag = tag
        self._script = client.register_script(script("sweep"))
        self._cursor = 0

    async def sweep(self) -> None:
        """Goes on from where it was. Raises what redis-py raises."""
        for _ in range(_SCANS_A_SWEEP):
            try:
                answer: Any = await self._client.scan(self._cursor, f"{_literal(self._tag)}:*", _KEYS_A_SCAN)
            except NoPermissionError:
                # memory that is lost, and no number
                self._cursor, found = 0, []
            else:
                self._cursor, found = int(answer[0]), answer[1]
            starts = [f"{self._tag}:{kind}:".encode() for kind in ("cells", "users")]
            names = [key[len(start) :] for key in found for start in starts if key.startswith(start)]
            if names:
                await self._script(keys=[self._tag], args=names)
            if not self._cursor:
                await self._script(keys=[self._tag], args=[])
                return


def _literal(text: str) -> str:
    """For a glob pattern."""
    return "".join(f"\\{letter}" if letter in "*?[]\\^" else letter for letter in text)
