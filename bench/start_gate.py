"""The start gate: holds workers back until all have joined their group and share the log.

Redis takes no writes meanwhile, so nobody can restore a position or count; a worker that cannot
tries again a few times a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from redis import Redis

from adapters.kafka.access import KafkaAccess
from core.errors import FourfoldError
from core.position import PartitionKey

_BOUND_S: Final = 60.0
_EVERY_S: Final = 0.3


class StartGate:
    """Closed from `close` to `open`."""

    def __init__(self, redis: Redis, access: KafkaAccess, group: str) -> None:
        self._redis = redis
        self._admin = AdminClient(access.confluent())
        self._group = group

    def close(self) -> None:
        """No writes from now on."""
        self._redis.client_pause(int(2 * _BOUND_S * 1000), all=False)

    def open(self) -> None:
        """Go."""
        self._redis.client_unpause()

    def wait(self, members: int, partitions: int, check: Callable[[], None]) -> list[frozenset[PartitionKey]]:
        """The partitions of each member once there are so many. Raises `FourfoldError`."""
        end = time.monotonic() + _BOUND_S
        before: list[frozenset[PartitionKey]] = []
        while True:
            check()
            shares = self._shares()
            complete = len(shares) == members and all(shares) and sum(map(len, shares)) == partitions
            # twice the same: nobody is joining any more
            if complete and shares == before:
                return shares
            before = shares
            if time.monotonic() > end:
                raise FourfoldError(f"{members} workers did not share the log within {_BOUND_S:g} s")
            time.sleep(_EVERY_S)

    def _shares(self) -> list[frozenset[PartitionKey]]:
        described = self._admin.describe_consumer_groups([self._group], request_timeout=5)[self._group]
        try:
            group: Any = described.result()
        except KafkaException:
            return []
        return [
            frozenset(PartitionKey(tp.topic, tp.partition) for tp in member.assignment.topic_partitions)
            for member in group.members
        ]
